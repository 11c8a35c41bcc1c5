internal import Bytes
internal import Config
internal import JSON
internal import Link
internal import Loop
internal import Platform
internal import Wire

/// What a back end asks for of events in the order of their commits. Pure.
struct EventsParameters: Equatable {
  /// BUDGET: seconds that a call waits for an event at most.
  static let waitMax: Int64 = 30
  /// Events of one answer at most, and without a limit.
  static let limitMax: Int64 = 1_000
  static let limitDefault: Int64 = 100

  var request: ReadEvents
  var wait: Duration

  init(_ value: JSONValue) throws(Refusal) {
    let channel = try Self.text("channel", value)
    let prefix = try Self.text("prefix", value)
    if channel != nil, prefix != nil { throw .badRequest("send channel or prefix, not both") }
    if let channel, ChannelName(channel) == nil { throw .unknownChannel(channel) }
    guard (prefix ?? "").utf8.count <= 255 else { throw .badRequest("a prefix has at most 255 bytes") }
    let type = try Self.text("type", value) ?? ""
    guard type.utf8.count <= 255 else { throw .badRequest("a type has at most 255 bytes") }
    let seconds = try Self.number("wait", value, in: 0...Self.waitMax) ?? 0
    let limit = try Self.number("limit", value, in: 1...Self.limitMax) ?? Self.limitDefault
    let after = try Self.number("after", value, in: 0...Int64.max) ?? 0
    wait = .seconds(seconds)
    request = ReadEvents(
      remainingMs: 0, waitMs: UInt32(clamping: seconds * 1_000), store: try Self.store(value),
      after: UInt64(after), prefix: channel ?? prefix ?? "", isExact: channel != nil, eventType: type,
      fromMs: try Self.time("from", value) ?? 0, toMs: try Self.time("to", value) ?? .max,
      count: UInt32(clamping: limit), bytes: 1 << 20,
      isReverse: try APIParameters.flag("reverse", in: value))
  }

  private static func text(_ member: String, _ value: JSONValue) throws(Refusal) -> String? {
    guard let given = value[member], !given.isNull else { return nil }
    guard let text = given.string else { throw .badRequest("\(member) must be a string") }
    return text
  }

  private static func number(
    _ member: String, _ value: JSONValue, in range: ClosedRange<Int64>
  ) throws(Refusal) -> Int64? {
    guard let given = value[member], !given.isNull else { return nil }
    guard let number = given.int, range.contains(number) else {
      let most = range.upperBound == .max ? "" : " to \(range.upperBound)"
      throw .badRequest("\(member) must be a whole number from \(range.lowerBound)\(most)")
    }
    return number
  }

  private static func time(_ member: String, _ value: JSONValue) throws(Refusal) -> Int64? {
    guard let given = value[member], !given.isNull else { return nil }
    guard let time = EventTime.milliseconds(given) else {
      throw .badRequest("\(member) must be milliseconds since 1970 or a time as RFC 3339 writes it")
    }
    return time
  }

  private static func store(_ value: JSONValue) throws(Refusal) -> UInt64 {
    guard let text = try text("store", value) else { return 0 }
    guard text.utf8.count == 16, let store = UInt64(text, radix: 16) else {
      throw .badRequest("store must be 16 hexadecimal digits")
    }
    return store
  }
}

/// Events of many durable channels in the order of their commits.
extension ServerAPI {
  func events(_ value: JSONValue, _ completion: @escaping Completion) {
    do throws(Refusal) {
      guard key.scopes.contains(.history) else { throw .outsideScope }
      let parameters = try EventsParameters(value)
      if parameters.request.isExact {
        guard let name = ChannelName(parameters.request.prefix), key.allows(.history, name) else {
          throw .outsideScope
        }
      }
      guard let store = gateway.upstreams.eventstore else { throw .storeUnavailable }
      guard store.peer?.knowsEventsInOrder ?? false else { throw .noTimelinesYet }
      let within = gateway.settings.publishMax + parameters.wait
      var request = parameters.request
      request.remainingMs = UInt32(clamping: within.millisecondsClamped)
      store.request(request, expecting: EventsPage.self, within: within) { [gateway, key] result in
        switch result {
        case .failure(let failure):
          gateway.metrics.limits.reached(failure)
          completion(.failure(Refusal(failure)))
        case .success(let page): completion(.success(Self.events(page, key)))
        }
      }
    } catch { completion(.failure(error)) }
  }

  /// What the key may read, and up to where all was looked at.
  private static func events(_ page: EventsPage, _ key: APIKeyRule) -> [UInt8] {
    var bytes = [UInt8]("{\"events\":[".utf8)
    var isFirst = true
    for found in page.events where key.allows(.history, found.stream) {
      if !isFirst { bytes.append(UInt8(ascii: ",")) }
      isFirst = false
      bytes.append(
        contentsOf:
          "{\"position\":\(found.position),\"channel\":\"\(found.stream)\",\"epoch\":\"\(found.epoch.text)\",".utf8)
      appendMembers(of: found.event, to: &bytes)
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(
      contentsOf:
        "],\"position\":\(page.through),\"head\":\(page.head),\"more\":\(page.hasMore)".utf8)
    if page.corruptCount > 0 { bytes.append(contentsOf: ",\"damaged\":\(page.corruptCount)".utf8) }
    let store = String(page.store, radix: 16)
    let zeros = String(repeating: "0", count: 16 - store.utf8.count)
    bytes.append(contentsOf: ",\"store\":\"\(zeros)\(store)\"}".utf8)
    return bytes
  }

  /// `"offset":…,"time":…,` and what else there is to say of an event.
  static func appendMembers(of event: StoredEvent, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: "\"offset\":\(event.offset),\"time\":\(event.timeMs),".utf8)
    Encoding.appendData(event.payload, to: &bytes)
    Encoding.append(user: event.publisher.user, to: &bytes)
    append("type", event.eventType, to: &bytes)
    append(ArrivalTags(event.eventType, event.meta), to: &bytes)
    guard event.eventType != ArtifactNotice.eventType, let ids = EventIDs(meta: event.meta) else {
      return
    }
    append("correlation_id", ids.correlation, to: &bytes)
    append("causation_id", ids.causation, to: &bytes)
  }

  /// `,"name":"text"` where there is some.
  private static func append(_ name: String, _ text: String, to bytes: inout [UInt8]) {
    guard !text.isEmpty else { return }
    bytes.append(contentsOf: ",\"\(name)\":".utf8)
    JSON.appendQuoted(text, to: &bytes)
  }
}
