internal import Centrifuge
internal import Wire

/// The tags of one publication, which subscribers may choose by, or what is said of its publisher. A
/// reference, since few have some and every subscriber's filter looks at them.
final class ArrivalTags: Sendable {
  /// Empty where only the publisher is spoken of.
  let values: NamedValues<String>
  private let origin: EventOrigin?

  /// Nil where there is nothing; an event of another type says something else by its `meta`.
  convenience init?(_ eventType: String, _ meta: [UInt8]) {
    guard !meta.isEmpty, eventType != ArtifactNotice.eventType else { return nil }
    if let tags = EventTags(meta: meta) {
      self.init(tags)
    } else if let origin = EventOrigin(meta: meta) {
      self.init(origin)
    } else {
      return nil
    }
  }

  init(_ tags: EventTags) {
    var values: NamedValues<String> = [:]
    for tag in tags.list { values[tag.name] = tag.value }
    self.values = values
    origin = nil
  }

  private init(_ origin: EventOrigin) {
    values = [:]
    self.origin = origin
  }

  /// Its publisher's own client does not get it.
  var isForOthers: Bool { origin?.isForOthers ?? false }

  /// What others are shown of its publisher.
  var info: ShownInfo {
    ShownInfo(connection: origin?.connectionInfo ?? [], channel: origin?.channelInfo ?? [])
  }
}
