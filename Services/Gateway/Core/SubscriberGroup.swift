internal import Bytes
internal import Wire

/// The live subscribers of a channel that share one encoding, and what this turn has for them.
///
/// Those whose sockets are compressed without a context are groups of their own, one for each
/// window: what they get is compressed once and shared.
struct SubscriberGroup {
  let encoding: Encoding
  /// Of the compressor; nil where nothing is compressed.
  let windowBits: Int?
  private let compressor: MessageCompressor?
  private(set) var members: [Subscription] = []
  private var gathered = EncodedPublications(bytes: [], count: 0, marks: [])

  init(_ encoding: Encoding, windowBits: Int? = nil, _ compression: LoopCompression) {
    self.encoding = encoding
    self.windowBits = windowBits
    compressor = windowBits.map(compression.compressor)
  }

  /// A group of nobody that encodes as this one does.
  init(like other: SubscriberGroup) {
    encoding = other.encoding
    windowBits = other.windowBits
    compressor = other.compressor
  }

  var isEmpty: Bool { members.isEmpty }
  var hasGathered: Bool { gathered.count > 0 }

  mutating func add(_ subscription: Subscription) {
    subscription.state = .live(index: members.count)
    members.append(subscription)
  }

  mutating func remove(at index: Int) {
    guard index < members.count else { return }
    let last = members.removeLast()
    if index < members.count {
      members[index] = last
      last.state = .live(index: index)
    }
  }

  mutating func append(
    _ payload: Payload, position: Position?, timeMs: Int64, publisher: Publisher,
    tags: ArrivalTags?, prefix: [UInt8], key: MergeKey? = nil, merges: Bool = false, spare: () -> [UInt8]
  ) {
    if gathered.bytes.capacity == 0 { gathered.bytes = spare() }
    if gathered.count == 0 { gathered.first = position }
    gathered.last = position
    if merges { gathered.keys.append(key) }
    encoding.append(
      payload, position: position, timeMs: timeMs, publisher: publisher, tags: tags, prefix: prefix,
      compressor: compressor, to: &gathered.bytes)
    gathered.count += 1
    if encoding.hasMarks {
      gathered.marks.append(.init(end: gathered.bytes.count, position: position))
    }
  }

  /// What was gathered so far; empty afterwards.
  mutating func take() -> EncodedPublications {
    var taken = EncodedPublications(bytes: [], count: 0, marks: [])
    swap(&taken, &gathered)
    return taken
  }
}
