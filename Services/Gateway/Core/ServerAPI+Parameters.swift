internal import Bytes
internal import HTTPCodec
internal import JSON
internal import Wire

/// Parameters of the API's methods, as they stand in JSON. Pure.
enum APIParameters {
  struct Publish: Equatable {
    /// The member *channel*; the one of the two that comes last counts.
    private var channel: String?
    /// The member *channels*.
    private var list: [String] = []
    var channels: [String] {
      get { channel.map { [$0] } ?? list }
      set { (channel, list) = (nil, newValue) }
    }
    /// Where one publication goes.
    var firstChannel: String? {
      get { channel ?? list.first }
      set { (channel, list) = (newValue, []) }
    }
    var payload: Payload?
    var key = ""
    var skipHistory = false
    /// Not published where nobody subscribes (S003-19).
    var onlyIfSubscribed = false
    var expected: Offset?
    var tags: EventTags?
    var producer: ProducerMark?
    /// The event's type; empty for none.
    var type = ""
    var ids = EventIDs()
  }

  /// Reads a publish or broadcast. Fields of Centrifugo that have no meaning here are passed over.
  static func publish(_ span: borrowing Span<UInt8>) throws(Refusal) -> Publish {
    var found = Publish()
    var problem: String?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) {
        take(member, span, &found, &problem)
      }
    } catch {
      throw Refusal(107, "bad_request", "the body is no JSON object: \(error)", .badRequest)
    }
    if let problem { throw .badRequest(problem) }
    return found
  }

  private static func take(
    _ member: JSONMember, _ span: borrowing Span<UInt8>, _ found: inout Publish,
    _ problem: inout String?
  ) {
    if takeProducing(member, span, &found, &problem) { return }
    if member.isKey("channel", in: span) {
      if let text = member.text(in: span) { found.firstChannel = text } else {
        problem = "channel must be a string"
      }
    } else if member.isKey("data", in: span) {
      if found.payload != nil { problem = Self.twoPayloads }
      found.payload = PayloadJSON.payload(data: member, in: span)
    } else if member.isKey("b64data", in: span) {
      if found.payload != nil { problem = Self.twoPayloads }
      do throws(PayloadJSON.Refusal) {
        found.payload = try PayloadJSON.payload(b64data: member, in: span)
      } catch { problem = "b64data must be a string of base64" }
    } else if member.isKey("idempotency_key", in: span) {
      if let text = member.text(in: span) { found.key = text } else {
        problem = "idempotency_key must be a string"
      }
      if found.key.utf8.count > 255 { problem = "idempotency_key is over 255 bytes" }
    } else if member.isKey("skip_history", in: span) {
      take("skip_history", member, span, &found.skipHistory, &problem)
    } else if member.isKey("only_if_subscribed", in: span) {
      take("only_if_subscribed", member, span, &found.onlyIfSubscribed, &problem)
    } else if member.isKey("expected_offset", in: span) {
      if let number = member.int(in: span), number >= 0 {
        found.expected = Offset(UInt64(number))
      } else {
        problem = "expected_offset must be a whole number"
      }
    } else if member.isKey("tags", in: span) {
      do throws(Refusal) { found.tags = try tags(member, span) } catch { problem = error.message }
    } else if member.isKey("channels", in: span) {
      guard let list = try? JSONValue.parse(span.extracting(member.value)).array else {
        problem = "channels must be a list of strings"
        return
      }
      found.channels = list.compactMap(\.string)
      if found.channels.count != list.count { problem = "channels must be a list of strings" }
    }
  }

  private static let twoPayloads = "send data or b64data, not both"

  private static func take(
    _ name: String, _ member: JSONMember, _ span: borrowing Span<UInt8>, _ flag: inout Bool,
    _ problem: inout String?
  ) {
    if member.kind == .null { return }
    guard let value = member.bool(in: span) else { return problem = notFlag(name) }
    flag = value
  }

  private static func notFlag(_ name: String) -> String { "\(name) must be true or false" }

  /// A switch: off where it is absent or null.
  static func flag(_ name: String, in value: JSONValue) throws(Refusal) -> Bool {
    guard let found = value[name], !found.isNull else { return false }
    guard let flag = found.bool else { throw .badRequest(notFlag(name)) }
    return flag
  }

  /// An object of texts; nil for none.
  private static func tags(
    _ member: JSONMember, _ span: borrowing Span<UInt8>
  ) throws(Refusal) -> EventTags? {
    let refusal = Refusal.badRequest(
      "tags must be an object of strings: at most \(EventTags.countMax), and \(EventTags.bytesMax) bytes")
    guard let value = try? JSONValue.parse(span.extracting(member.value)) else { throw refusal }
    if value.isNull { return nil }
    guard let members = value.object?.members else { throw refusal }
    var list: [EventTags.Tag] = []
    for member in members {
      guard let text = member.value.string else { throw refusal }
      list.append(EventTags.Tag(name: member.key, value: text))
    }
    guard let tags = EventTags(list) else { throw refusal }
    return tags.list.isEmpty ? nil : tags
  }

  struct History {
    var channel: String
    var limit: UInt32
    var since: Position?
    var isReverse: Bool
    /// With all that the chain is made of (`EventJSON`).
    var isExact = false
  }

  /// - Parameter most: publications in one answer at most; a negative limit asks for all of them.
  static func history(_ value: JSONValue, most: Int) throws(Refusal) -> History {
    guard let channel = value["channel"]?.string else { throw .badRequest("channel is missing") }
    var since: Position?
    if let object = value["since"], !object.isNull {
      guard let offset = object["offset"]?.int, offset >= 0,
        let epoch = object["epoch"]?.string.flatMap({ Epoch($0) })
      else { throw .badRequest("since must be {offset, epoch}") }
      since = Position(epoch: epoch, offset: Offset(UInt64(offset)))
    }
    let given = value["limit"].flatMap { $0.isNull ? nil : $0 }
    guard let limit = given.map(\.int) ?? 0 else { throw .badRequest("limit must be a whole number") }
    return History(
      channel: channel, limit: UInt32(clamping: limit < 0 ? Int64(most) : min(limit, Int64(most))),
      since: since, isReverse: try flag("reverse", in: value),
      isExact: try flag("exact", in: value))
  }
}
