import HTTPCodec
import WebSocketCodec

private enum Event: Equatable {
  case head(String)
  case body([UInt8])
  case failed(HTTPError)
}

/// Requests with their bodies, one behind the other on a connection.
func fuzzHTTPRequests(_ input: [UInt8]) {
  let events = requireSplitInvariance(input, readRequests)
  for case .failed(let error) in events {
    require((400..<600).contains(error.status.rawValue), "an error without a status")
  }
}

private func readRequests(_ segments: [[UInt8]]) -> [Event] {
  var reader = HTTPRequestReader()
  var decoder: HTTPBodyDecoder?
  var events: [Event] = []
  var body: [UInt8] = []
  do {
    for segment in segments {
      var offset = 0
      reading: while true {
        if decoder != nil {
          switch try decoder?.next(segment.span, from: &offset) {
          case .bytes(let range): body += segment[range]
          case .end:
            events.append(.body(body))
            body = []
            decoder = nil
          case nil: break reading
          }
        } else {
          guard let head = try reader.next(segment.span, from: &offset) else { break }
          check(head)
          events.append(.head(describe(head)))
          decoder = try HTTPBodyDecoder(head.framing, bytesMax: 2_000)
        }
      }
      require(offset == segment.count, "bytes were left without an event")
    }
  } catch { events.append(.failed(error)) }
  return events
}

private func describe(_ head: HTTPRequestHead) -> String {
  "\(head.method) \(head.target) \(head.version) \(head.framing) \(head.keepAlive) "
    + "\(head.expectsContinue) \(head.upgrades) \(String(describing: head.authority)) "
    + describe(head.headers)
}

private func describe(_ headers: HTTPHeaders) -> String {
  (0..<headers.count).map { "\(headers[$0].name): \(headers[$0].value)\n" }.joined()
}

/// What was accepted can be read in one way: written again from its parts, it is the same head.
private func check(_ head: HTTPRequestHead) {
  for segment in head.path {
    require(segment != "." && segment != ".." && !segment.utf8.contains(0), "an unsafe segment")
  }
  checkHandshake(head)
  let version = head.version == .http11 ? "HTTP/1.1" : "HTTP/1.0"
  var text = "\(head.method.rawValue) \(head.rawTarget) \(version)\r\n"
  for index in 0..<head.headers.count {
    text += "\(head.headers[index].name): \(head.headers[index].value)\r\n"
  }
  text += "\r\n"
  let again = reread(Array(text.utf8))
  require(again == describe(head), "read differently when written again: \(text.debugDescription)")
}

/// Only a request that is an upgrade, has no body and one key becomes a WebSocket.
private func checkHandshake(_ head: HTTPRequestHead) {
  let outcome = WebSocketHandshake.validate(
    .init(
      method: head.method.rawValue, isHTTP11: head.version == .http11,
      hasBody: head.framing != .none,
      namesWebSocket: head.headers.list("upgrade", contains: "websocket"),
      namesUpgrade: head.headers.list("connection", contains: "upgrade"),
      version: head.headers.only("sec-websocket-version"),
      key: head.headers.only("sec-websocket-key")))
  guard case .accept(let key) = outcome else { return }
  require(head.wantsUpgrade && head.method == .get && head.framing == .none, "no upgrade")
  require(head.headers.all("sec-websocket-key") == [key], "another key")
}

/// The one head that `bytes` are, by limits that repaired text can't cross.
private func reread(_ bytes: [UInt8]) -> String? {
  var reader = HTTPRequestReader(
    limits: HTTPLimits(headBytesMax: 65_535, fieldBytesMax: 60_000))
  var offset = 0
  guard let head = try? reader.next(bytes.span, from: &offset) else { return nil }
  return describe(head)
}

/// One response, to GET and to HEAD, on a connection that then ends.
func fuzzHTTPResponses(_ input: [UInt8]) {
  for method in [HTTPMethod.get, .head] {
    requireSplitInvariance(input) { readResponse($0, answering: method) }
  }
}

private func readResponse(_ segments: [[UInt8]], answering method: HTTPMethod) -> [Event] {
  var reader = HTTPResponseReader()
  var decoder: HTTPBodyDecoder?
  var events: [Event] = []
  var body: [UInt8] = []
  do {
    for segment in segments {
      var offset = 0
      if decoder == nil {
        guard let head = try reader.next(segment.span, from: &offset, answering: method) else {
          continue
        }
        events.append(
          .head("\(head.status) \(head.framing) \(head.keepAlive) " + describe(head.headers)))
        decoder = try HTTPBodyDecoder(head.framing, bytesMax: 2_000)
      }
      while let event = try decoder?.next(segment.span, from: &offset) {
        if case .bytes(let range) = event { body += segment[range] }
      }
    }
    if decoder?.isFinished == false { _ = try decoder?.receivedEnd() }
    if decoder != nil { events.append(.body(body)) }
  } catch { events.append(.failed(error)) }
  return events
}
