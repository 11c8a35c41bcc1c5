internal import Bytes
internal import HTTPCodec
internal import JSON

/// One HTTP answer, ready to be written.
struct Response {
  var status: HTTPStatus
  var fields: [(String, String)] = []
  var body: [UInt8]
  /// The length to tell where `body` is not what is sent: for HEAD, and for what is streamed.
  var length: UInt64?
  /// The body ends with the connection (RFC 9112 §6.3): no length is told.
  var isEndless = false

  init(_ status: HTTPStatus, _ type: String, _ body: [UInt8]) {
    self.status = status
    self.body = body
    if !body.isEmpty || !status.forbidsBody { fields.append(("Content-Type", type)) }
  }

  static func json(_ status: HTTPStatus = .ok, _ build: (inout JSONWriter) -> Void) -> Response {
    var writer = JSONWriter(reserving: 256)
    build(&writer)
    return Response(status, "application/json", writer.bytes)
  }

  static func error(_ refusal: Refusal) -> Response {
    var response = json(refusal.status) { writer in
      writer.beginObject()
      writer.key("error")
      refusal.append(to: &writer)
      writer.endObject()
    }
    if refusal.retryAfterMs > 0 {
      response.fields.append(("Retry-After", String((refusal.retryAfterMs + 999) / 1000)))
    }
    if refusal.status == .unauthorized {
      response.fields.append(("WWW-Authenticate", challenge(refusal)))
    }
    return response
  }

  /// RFC 9110 §15.5.2: how to come in. RFC 6750 §3.1: who has shown nothing is told of no error.
  private static func challenge(_ refusal: Refusal) -> String {
    switch refusal {
    case .unauthorized: "apikey"
    case .signInFirst: "Bearer"
    default: "Bearer error=\"invalid_token\""
    }
  }

  /// A part was asked for that lies behind the end (RFC 9110 §15.5.17).
  static func unsatisfiable(size: UInt64) -> Response {
    var response = error(
      Refusal(107, "bad_range", "the content has \(size) bytes", .rangeNotSatisfiable))
    response.fields.append(("Content-Range", "bytes */\(size)"))
    return response
  }

  static var preconditionFailed: Response {
    error(
      Refusal(
        107, "precondition_failed", "this is not the content that was meant", .preconditionFailed))
  }

  static func text(_ status: HTTPStatus, _ text: String) -> Response {
    Response(status, "text/plain; charset=utf-8", [UInt8](text.utf8))
  }

  /// The bytes of the answer; `isHead` leaves the body out but says its length.
  func bytes(date: String, closes: Bool, isHead: Bool) -> [UInt8] {
    var writer = HTTPHeadWriter(status: status, date: date)
    for (name, value) in fields { try? writer.field(name, value) }
    if !status.forbidsBody, !isEndless {
      writer.contentLength(length.map { Int(clamping: $0) } ?? body.count)
    }
    if closes { writer.close() }
    var bytes = writer.end()
    if !isHead { bytes.append(contentsOf: body) }
    return bytes
  }
}

/// The text of Date fields, made once a second.
struct DateText {
  private var second = -1
  private var made = ""

  mutating func text(_ secondsSince1970: Int) -> String {
    if second != secondsSince1970 {
      second = secondsSince1970
      made = HTTPDate.text(secondsSince1970: secondsSince1970)
    }
    return made
  }
}

extension Refusal {
  /// `{"code":…,"message":…}`.
  func append(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("code", Int64(code))
    writer.field("name", name)
    writer.field("message", message)
    if retryAfterMs > 0 { writer.field("retry_after_ms", Int64(retryAfterMs)) }
    if let detail { writer.field(detail.name, detail.value) }
    writer.endObject()
  }
}
