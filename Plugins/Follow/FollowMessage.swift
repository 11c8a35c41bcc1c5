import ChannelKit
import JSON

/// What a leader allows.
struct FollowStanding: Equatable {
  var isLed = false
  /// How often following was ended for all; wraps.
  var stops: UInt32 = 0
  /// Users, or clients of nobody, who may not follow until the next start; in the order they were
  /// dismissed.
  var dismissed: [String] = []

  func dismisses(_ name: String) -> Bool { dismissed.contains { haveSameBytes($0, name) } }
}

/// A message of the leader, and what the channel makes of it:
///
///     {"action":"camera.move","target":"sol"}                        as it came
///     {"action":"follow.dismiss","leader":"ada","stops":0,"dismissed":["bob"]}
struct FollowMessage {
  enum Action: String {
    case move = "camera.move"
    case start = "follow.start"
    case stop = "follow.stop"
    case dismiss = "follow.dismiss"
  }

  /// BUDGET: a camera moves many times a second.
  static let bytesMax = 1_024
  static let nameBytesMax = 256

  private(set) var action = Action.move
  private(set) var user: String?

  /// - Errors: not a JSON object of at most `bytesMax`, an action that there is not, a move without
  ///   a target.
  init(reading payload: Payload) throws(ChannelError) {
    guard payload.kind != .binary, payload.kind != .jsonWithParts,
      payload.bytes.count <= Self.bytesMax
    else { throw .invalidPayload("a JSON object of at most \(Self.bytesMax) bytes is due") }
    var action: Action?
    var hasTarget = false
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        switch member.keyText(in: payload.bytes.span) {
        case "action":
          action = member.text(in: payload.bytes.span).flatMap { Action(rawValue: $0) }
        case "target": hasTarget = true
        case "user": user = member.text(in: payload.bytes.span)
        default: break
        }
      }
    } catch {
      throw .invalidPayload("a JSON object is due; \(error)")
    }
    guard let action else {
      throw .invalidPayload("action is camera.move, follow.start, follow.stop or follow.dismiss")
    }
    guard action != .move || hasTarget else { throw .invalidPayload("a camera.move has a target") }
    guard user?.utf8.count ?? 1 <= Self.nameBytesMax else {
      throw .invalidPayload("user has at most \(Self.nameBytesMax) bytes")
    }
    self.action = action
  }

  /// What is published of a leader's word: who leads, and all that holds from now on.
  static func payload(_ action: Action, _ leader: String, _ standing: FollowStanding) -> Payload {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("action", action.rawValue)
    writer.field("leader", leader)
    writer.field("stops", UInt64(standing.stops))
    writer.key("dismissed")
    writer.beginArray()
    for name in standing.dismissed { writer.string(name) }
    writer.endArray()
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  /// What holds from a publication on; nil for what says nothing of it.
  static func standing(in payload: Payload) -> FollowStanding? {
    var action: Action?
    var standing = FollowStanding()
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        switch member.keyText(in: payload.bytes.span) {
        case "action":
          action = member.text(in: payload.bytes.span).flatMap { Action(rawValue: $0) }
        case "stops":
          standing.stops = UInt32(truncatingIfNeeded: member.int(in: payload.bytes.span) ?? 0)
        case "dismissed":
          standing.dismissed = try names(payload.bytes.span.extracting(member.value))
        default: break
        }
      }
    } catch {
      return nil
    }
    guard let action, action != .move else { return nil }
    standing.isLed = action != .stop
    return standing
  }

  /// What presence shows: `{"follows":"ada"}`.
  static func info(_ what: String, _ leader: String) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field(what, leader)
    writer.endObject()
    return writer.bytes
  }

  private static func names(_ array: borrowing Span<UInt8>) throws(JSONError) -> [String] {
    var scanner = try JSONArrayScanner(array: array)
    var names: [String] = []
    while let element = try scanner.next(array) {
      if let name = element.text(in: array) { names.append(name) }
    }
    return names
  }
}
