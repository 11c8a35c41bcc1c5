public import ChannelKit

/// Documents by key that everyone sees and that last: a posture, a progress, ten variables (S002-01).
///
/// A fold over a durable channel: of every key the latest value, and the offset of its last change,
/// which is its version. An offset is known to all from the publication's place, is never given twice,
/// also not to a key that was removed and made anew, and needs no counting.
///
/// Who names a version has it compared, so the decision expects the channel unchanged. Who names none
/// wants the last one to win: that depends on nothing, expects nothing, and holds nobody up, as long as
/// the bounds are far. So writers of different keys meet only where they compare.
public struct StateChannel: ChannelType {
  public static let name = "state"
  public static let state = StateUse.folded
  public static let history = HistoryRequirement.durable

  private let rules: StateRules
  private var documents = StateDocuments()

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    rules = try StateRules(&options)
  }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    let message = try StateMessage(reading: event.payload, named: event.name)
    let expecting: Expectation
    switch message.change {
    case .clear: expecting = .anything
    case .remove(let key): expecting = try decideRemove(key, message.version)
    case .set(let key, let value):
      try check(message.version, of: key, merging: nil)
      expecting = try decide(.init(whole: value), at: key, message.version)
    case .patch(let key, let patch):
      try check(message.version, of: key, merging: patch)
      expecting = try decide(
        (documents[key]?.value ?? .empty).patched(by: patch, at: 0).value, at: key, message.version)
    }
    let version = expecting == .unchanged ? documents.nextVersion : nil
    let actor = client.user?.text ?? (client.isAPI ? "api" : nil)
    effects.publish(message.published(version: version, by: actor), expecting: expecting)
    effects.reply(message.acknowledgement(version: version))
  }

  /// Passes over what makes no sense, such as what was in the stream before it was a state's.
  public mutating func apply(_ publication: Publication) { documents.apply(publication) }

  public mutating func begins(after floor: Offset) { documents.begins(after: floor) }

  public func snapshot() -> [Payload] { documents.pages() }

  public func checkpoint() -> [UInt8]? { documents.checkpoint() }

  public mutating func restore(_ checkpoint: [UInt8]) throws(ChannelError) {
    do throws(ByteError) {
      documents = try StateDocuments(checkpoint: checkpoint)
    } catch {
      throw .invalidPayload("this is no state's checkpoint")
    }
  }

  private func decideRemove(_ key: String, _ version: UInt64?) throws(ChannelError) -> Expectation {
    guard documents[key] != nil else { throw .notFound("there is no such key") }
    try check(version, of: key, merging: nil)
    return version == nil ? .anything : .unchanged
  }

  /// Whether the version that a writer named lets it write.
  private func check(_ version: UInt64?, of key: String, merging patch: [StateMember]?)
    throws(ChannelError)
  {
    guard let version else { return }
    guard let document = documents[key] else {
      guard version == 0 else { throw .conflict("there is no such key") }
      return
    }
    if version == document.version { return }
    if version == 0 { throw .conflict("the key is there, at version \(document.version)") }
    if let patch, rules.merges, document.isUntouched(by: patch, since: version) { return }
    throw .conflict("the key has changed: it is at version \(document.version)")
  }

  /// Holds the bounds, and says whether the new value may meet another state than this one.
  private func decide(_ value: StateValue, at key: String, _ version: UInt64?)
    throws(ChannelError) -> Expectation
  {
    let old = documents[key]
    guard old != nil || documents.count < rules.keysMax else {
      throw .limitReached("the channel is full: it holds \(rules.keysMax) keys")
    }
    guard value.membersCount <= StateValue.membersMax else {
      throw .limitReached("an object has at most \(StateValue.membersMax) members")
    }
    guard value.bytes <= rules.valueBytesMax else {
      throw .limitReached("a value has at most \(rules.valueBytesMax) bytes")
    }
    let bytes = documents.bytes - (old?.value.bytes ?? 0) + value.bytes
    guard bytes <= rules.bytesMax else {
      throw .limitReached("the channel is full: it holds \(rules.bytesMax) bytes")
    }
    let isFar = bytes <= rules.bytesMax / 2 && value.bytes <= rules.valueBytesMax / 2
    return version == nil && old != nil && isFar ? .anything : .unchanged
  }
}
