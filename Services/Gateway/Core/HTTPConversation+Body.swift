internal import Bytes
internal import HTTPCodec
internal import Loop

/// Bodies on their way: collected, given to the vault, or let pass.
extension HTTPConversation {
  /// A request whose body is on its way.
  struct Reading {
    var exchange: HTTPExchange
    var decoder: HTTPBodyDecoder
    var sink: Sink

    var upload: ArtifactUpload? {
      if case .artifact(let upload) = sink { upload } else { nil }
    }
  }

  enum Sink {
    case collect([UInt8])
    case artifact(ArtifactUpload)
    /// Nobody wants this body; the request is carried out once it has passed.
    case discard
  }

  func readBody(_ bytes: borrowing Span<UInt8>, _ offset: inout Int) throws(HTTPError)
    -> Bool
  {
    guard var reading = current else { return true }
    // The body is moved out and back, so that collecting does not copy what is there already.
    current = nil
    do throws(HTTPError) {
      while let event = try reading.decoder.next(bytes, from: &offset) {
        switch event {
        case .bytes(let range): take(bytes.extracting(range), &reading)
        case .end:
          finish(reading)
          return true
        }
      }
    } catch {
      current = reading
      throw error
    }
    current = reading
    if let upload = reading.upload, upload.isHoldingBack { stream.pauseReading() }
    return false
  }

  func take(_ bytes: borrowing Span<UInt8>, _ reading: inout Reading) {
    receivedBytes &+= UInt64(bytes.count)
    reading.exchange.receivedBytes &+= UInt64(bytes.count)
    switch reading.sink {
    case .collect(var body):
      reading.sink = .discard
      body.append(copying: bytes)
      gateway.memory.grew(by: bytes.count)
      reading.sink = .collect(body)
    case .artifact(let upload):
      gateway.memory.grew(by: bytes.count)
      upload.received(bytes)
    case .discard: break
    }
  }

  func finish(_ reading: Reading) {
    reading.exchange.start = nil
    if reading.exchange.closes { isClosing = true }
    switch reading.sink {
    case .collect(let body): reading.exchange.finishRequest(body)
    case .artifact(let upload): upload.ended()
    case .discard: reading.exchange.finishRequest([])
    }
  }
}
