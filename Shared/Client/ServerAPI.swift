public import Bytes
internal import HTTPCodec
public import JSON

/// The requests of the HTTP API that clients make, and what their answers mean. Pure.
public enum ServerAPI {
  /// What was published where.
  public struct Receipt: Hashable, Sendable {
    /// Nil in channels without history.
    public let position: Position?
  }

  /// Why a call came to nothing.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no answer.
    case transport(HTTPFailure)
    /// 401 or 403.
    case notPermitted(String)
    /// 429 or 503: later it may work.
    case notNow(String)
    /// The server understood and refused.
    case refused(ServerRefusal)
    case unexpected(status: Int, String)

    /// Whether the same call may work later.
    public var isTemporary: Bool {
      switch self {
      case .transport(.malformed), .transport(.unsendable): false
      case .transport, .notNow: true
      case .notPermitted: false
      case .refused(let refusal): refusal.isTemporary
      case .unexpected(let status, _): status >= 500
      }
    }

    public var description: String {
      switch self {
      case .transport(let failure): failure.description
      case .notPermitted(let text): "the server does not permit it: \(text)"
      case .notNow(let text): "the server can't do it now: \(text)"
      case .refused(let refusal): "the server refuses: \(refusal)"
      case .unexpected(let status, let text): "the server answered with status \(status): \(text)"
      }
    }
  }

  /// `POST /api/publish`.
  public static func publish(
    _ channel: ChannelName, _ payload: Payload, key: String?
  ) throws(PayloadJSON.Refusal) -> HTTPRequest {
    var writer = JSONWriter(reserving: payload.bytes.count + 256)
    writer.beginObject()
    writer.field("channel", channel.text)
    if let key { writer.field("idempotency_key", key) }
    try PayloadJSON.appendMember(payload, to: &writer)
    writer.endObject()
    return .json("/api/publish", writer.bytes)
  }

  /// `POST /api/history`; `limit` -1 is all the server gives at once.
  public static func history(
    _ channel: ChannelName, limit: Int, since: Position?, newestFirst: Bool, isExact: Bool = false
  )
    -> HTTPRequest
  {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("channel", channel.text)
    writer.field("limit", Int64(limit))
    if newestFirst { writer.field("reverse", true) }
    if isExact { writer.field("exact", true) }
    if let since {
      writer.key("since")
      writer.beginObject()
      writer.field("offset", since.offset.value)
      writer.field("epoch", since.epoch.text)
      writer.endObject()
    }
    writer.endObject()
    var request = HTTPRequest.json("/api/history", writer.bytes)
    // An event of 16 MiB in base64.
    if isExact { request.responseBytesMax = 32 << 20 }
    return request
  }

  /// `POST /api/history_remove`.
  public static func removeHistory(_ channel: ChannelName) -> HTTPRequest {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("channel", channel.text)
    writer.endObject()
    return .json("/api/history_remove", writer.bytes)
  }

  /// `POST /api/streams`; `at`: the offset whose chain is asked for, in place of the head's.
  public static func streams(
    prefix: String, after: String, limit: Int64 = 1_000, at: UInt64? = nil
  ) -> HTTPRequest {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("prefix", prefix)
    writer.field("after", after)
    writer.field("limit", limit)
    if let at { writer.field("at", at) }
    writer.endObject()
    return .json("/api/streams", writer.bytes)
  }

  /// `POST /api/stream_import`: one step, as JSON (docs/HTTP.md).
  public static func importStream(_ body: [UInt8]) -> HTTPRequest {
    .json("/api/stream_import", body)
  }

  /// What `events` is asked for.
  public struct EventsQuery: Hashable, Sendable {
    /// Which store the position is of; nil for whichever.
    public var store: String?
    public var after: Int64
    /// What channels' names begin with; empty for all.
    public var prefix = ""
    /// Empty for all.
    public var type = ""
    public var limit: Int64 = 100
    /// Seconds to wait where there is nothing.
    public var wait: Int64 = 0
    public var isReverse = false

    public init(store: String? = nil, after: Int64 = 0) {
      self.store = store
      self.after = after
    }
  }

  /// `POST /api/events`.
  public static func events(_ query: EventsQuery) -> HTTPRequest {
    var writer = JSONWriter()
    writer.beginObject()
    if let store = query.store { writer.field("store", store) }
    writer.field("after", query.after)
    if !query.prefix.isEmpty { writer.field("prefix", query.prefix) }
    if !query.type.isEmpty { writer.field("type", query.type) }
    writer.field("limit", query.limit)
    if query.wait > 0 { writer.field("wait", query.wait) }
    if query.isReverse { writer.field("reverse", true) }
    writer.endObject()
    return .json("/api/events", writer.bytes)
  }

  /// `POST /api/stream_fork`; `at` nil for the head.
  public static func fork(
    _ channel: ChannelName, as fork: ChannelName, at: Int?, author: String?
  ) -> HTTPRequest {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("channel", channel.text)
    writer.field("fork", fork.text)
    if let at { writer.field("at", Int64(at)) }
    if let author { writer.field("author", author) }
    writer.endObject()
    return .json("/api/stream_fork", writer.bytes)
  }

  /// `POST /api/state`; `at` nil for the head.
  public static func state(_ channel: ChannelName, at: Int?, rebuild: Bool) -> HTTPRequest {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("channel", channel.text)
    if let at { writer.field("at", Int64(at)) }
    if rebuild { writer.field("rebuild", true) }
    writer.endObject()
    return .json("/api/state", writer.bytes)
  }

  /// `POST /api/stream_trim`; `through` nil for the head.
  public static func trim(_ channel: ChannelName, through: Int?) -> HTTPRequest {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("channel", channel.text)
    if let through { writer.field("through", Int64(through)) }
    writer.endObject()
    return .json("/api/stream_trim", writer.bytes)
  }

  /// `POST /api/stream_delete`.
  public static func deleteStream(_ channel: ChannelName) -> HTTPRequest {
    .json("/api/stream_delete", JSONValue.object(["channel": .string(channel.text)]).jsonBytes)
  }

  /// `POST /api/presence`.
  public static func presence(_ channel: ChannelName) -> HTTPRequest {
    .json("/api/presence", JSONValue.object(["channel": .string(channel.text)]).jsonBytes)
  }

  /// `GET /channels` (S003-10).
  public static var channels: HTTPRequest { HTTPRequest(.get, "/channels") }

  /// `GET /health` (S004-30).
  public static var health: HTTPRequest { HTTPRequest(.get, "/health") }

  /// The `result` of an API call, or what went wrong.
  public static func result(_ answer: Result<HTTPResponse, HTTPFailure>) throws(Failure)
    -> JSONValue
  {
    let value = try body(answer)
    if let error = value["error"] { throw .refused(ServerMessage.refusal(error)) }
    return value["result"] ?? .null
  }

  /// The JSON body of a successful answer.
  public static func body(_ answer: Result<HTTPResponse, HTTPFailure>) throws(Failure) -> JSONValue
  {
    let response: HTTPResponse
    do throws(HTTPFailure) { response = try answer.get() } catch { throw .transport(error) }
    try check(response)
    do throws(JSONError) {
      return try JSONValue.parse(response.body.span)
    } catch {
      throw .transport(.malformed(reason: "the body is no JSON: \(error)"))
    }
  }

  /// Throws unless the status is one of success.
  public static func check(_ response: HTTPResponse) throws(Failure) {
    guard !(200...299).contains(response.status) else { return }
    let text = words(response)
    switch response.status {
    case 401, 403: throw .notPermitted(text)
    case 429, 503: throw .notNow(text)
    default: throw .unexpected(status: response.status, text)
    }
  }

  public static func receipt(_ result: JSONValue) -> Receipt {
    Receipt(position: ServerMessage.position(result, "offset"))
  }

  /// What the body says, in one line of at most 300 characters.
  private static func words(_ response: HTTPResponse) -> String {
    if let value = try? JSONValue.parse(response.body.span) {
      if let error = value["error"], error.object != nil {
        return ServerMessage.refusal(error).description
      }
      if let text = value["message"]?.string ?? value["error"]?.string { return text }
    }
    let text = String(decoding: response.body.prefix(300), as: UTF8.self)
    let line = text.split(whereSeparator: \.isNewline).first.map { String($0) } ?? ""
    return line.isEmpty ? "no reason given" : line
  }
}
