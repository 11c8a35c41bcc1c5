internal import Bytes
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform

/// Answers in the order of their requests, and the end of a conversation.
extension HTTPConversation {
  /// Writes the answers that are due, in the order of their requests.
  func answered() {
    guard !isClosed, !isAnswering else { return }
    isAnswering = true
    defer { isAnswering = false }
    while let first = exchanges.first {
      if first.response == nil { first.becameFirst() }
      if isClosed { return }
      guard let bytes = first.response else { break }
      write(bytes)
      exchanges.removeFirst()
      note(first)
      if first.closes { return finishWriting() }
    }
    if gateway.isDraining || hasPeerFinished, exchanges.isEmpty, current == nil { return finishWriting() }
    resumeReading()
  }

  func isFirst(_ exchange: HTTPExchange) -> Bool { exchanges.first === exchange }

  /// Whether its answer would be written at once.
  func isDue(_ exchange: HTTPExchange) -> Bool { isFirst(exchange) && !isClosed && !isAnswering }

  /// What follows on this connection is another's, and no request any more. False if it has ended.
  func handOver(to feed: any EndlessAnswer) -> Bool {
    guard !isClosed else { return false }
    isClosed = true
    isClosing = true
    giveUpExchanges()
    feed.takes(connection)
    stream.resumeReading()
    return true
  }

  /// Nothing more is said. A queue that a slow client still has to read is given its time first.
  func finishWriting() {
    isClosed = true
    isClosing = true
    giveUpExchanges()
    guard stream.queuedBytes > Self.closingBytesMax else { return stream.closeAfterWriting() }
    stream.tellWhenEmpty()
  }

  func giveUpExchanges() {
    if let upload = current?.upload { upload.cancelled() }
    current = nil
    let left = exchanges
    exchanges = []
    for exchange in left {
      exchange.giveUp()
      note(exchange, end: "abandoned")
    }
  }

  func note(_ exchange: HTTPExchange, end: String? = nil) {
    guard gateway.access.isOn, !exchange.isHandedOver else { return }
    gateway.access.note(exchange.accessEntry(now: gateway.loop.now, end: end))
  }

  /// Where the next request begins is not known any more: the one whose body failed is answered,
  /// or else what should have been one, and the connection ends.
  func fail(_ refusal: Refusal) {
    isClosing = true
    let reading = current
    current = nil
    reading?.upload?.cancelled()
    let exchange = reading?.exchange ?? HTTPExchange(self, from: connection.client)
    gateway.httpLogger.debug(
      "a request was refused", ["id": .text(exchange.id.description), "reason": .text(refusal.message)])
    if reading == nil { exchanges.append(exchange) }
    exchange.closes = true
    if refusal.status == .contentTooLarge { exchange.bodyRefused?() } else { exchange.giveUp() }
    if exchange.response == nil {
      exchange.respond(.error(refusal))
    } else if exchanges.isEmpty {
      finishWriting()
    }
  }

  static func refusal(_ error: HTTPError) -> Refusal {
    error == .bodyTooLarge
      ? Refusal(155, "too_large", error.reason, error.status)
      : Refusal(107, "bad_request", error.reason, error.status)
  }

  func write(_ bytes: [UInt8]) {
    deadlines.bytesWent(gateway.loop.now)
    sentBytes &+= UInt64(bytes.count)
    stream.send(bytes)
  }

  /// As `write`, for an answer that is made where it leaves from; gives its length.
  func write(_ body: (inout [UInt8]) -> Void) -> Int {
    deadlines.bytesWent(gateway.loop.now)
    let count = stream.sendMeasured(body)
    sentBytes &+= UInt64(count)
    return count
  }

  var dateText: String { gateway.date.text(Int(gateway.loop.wallMilliseconds / 1000)) }

  func drained() {
    deadlines.bytesWent(gateway.loop.now)
    relieved()
  }

  func relieved() {
    if isClosed { return stream.closeAfterWriting() }
    exchanges.first?.drained?()
    resumeReading()
  }
}
