public import ChannelKit
import JSON

/// A channel that hands on every payload as it was published; the default type.
///
/// With the option `require`, only JSON objects that have these members are handed on (S003-22);
/// without it the gateway doesn't even ask.
public struct RelayChannel: ChannelType {
  public static let name = "relay"

  private let required: [String]

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    required = try options.texts("require") ?? []
    guard required.count <= 32 else {
      throw ChannelOptionsError(option: "require", "must list at most 32 members")
    }
  }

  public var isPassThrough: Bool { required.isEmpty }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    if !required.isEmpty { try check(event.payload) }
    effects.publish(event.payload)
  }

  private func check(_ payload: Payload) throws(ChannelError) {
    var missing = required
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        missing.removeAll { member.isKey($0, in: payload.bytes.span) }
      }
    } catch {
      throw .invalidPayload("this channel takes JSON objects; \(error)")
    }
    guard missing.isEmpty else {
      throw .invalidPayload("missing: \(missing.joined(separator: ", "))")
    }
  }
}
