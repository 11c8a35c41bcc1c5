internal import EngineIO
internal import HTTPCodec

/// One request of long polling, wherever it came: to this loop, or to another gateway.
protocol EngineExchange: AnyObject {
  /// The client has gone before it was answered.
  var abandoned: (() -> Void)? { get set }
  /// Who takes the request's body.
  var takesBody: (([UInt8]) -> Void)? { get set }
  /// The body is more than may come; the answer is this one's to give.
  var bodyRefused: (() -> Void)? { get set }
  func respond(_ answer: Response)
  /// Answers with a payload of packets.
  func respond(_ payload: PollPayload)
}

/// What a poll is answered with.
struct PollPayload {
  var bytes: [UInt8]
  /// It may not be compressed.
  var isPlain: Bool

  /// Whether one of its packets of Socket.IO answers a CONNECT: that has the client's secret.
  static func hasConnect(_ payload: [UInt8]) -> Bool {
    payload.split(separator: EnginePayload.separator).contains { $0.starts(with: "40".utf8) }
  }
}

extension HTTPExchange: EngineExchange {
  func respond(_ payload: PollPayload) {
    var answer = EngineDoors.poll(payload.bytes)
    if !payload.isPlain, let head, let engines = connection?.gateway.engines,
      let coding = HTTPContentCoding.preferred(head.headers.all("accept-encoding")),
      let compressed = engines.compressed(payload.bytes, coding)
    {
      answer.body = compressed
      answer.fields += [("Content-Encoding", coding.rawValue), ("Vary", "Accept-Encoding")]
    }
    respond(answer)
  }
}
