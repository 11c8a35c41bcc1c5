internal import Bytes
internal import Centrifuge
internal import WebSocketCodec

/// Live subscribers that want the same, tailored alike: one encoding, one filter, and, of those that
/// get deltas, one publication that all of them have as the one before. Loop-confined.
final class TailoredGroup {
  let encoding: Encoding
  let windowBits: Int?
  let filter: CentrifugeTagCondition?
  let isDelta: Bool
  private let compressor: MessageCompressor?
  private(set) var members: [Subscription] = []
  /// What members have with what was gathered; nil: nothing that is known.
  private(set) var base: DeltaBase?
  /// The same before this turn's publications.
  private(set) var baseBefore: DeltaBase?
  private var gathered = EncodedPublications(bytes: [], count: 0, marks: [])
  /// This turn's publications, as long as some of them are deltas.
  private var arrivals: [(arrival: Arrival, key: MergeKey?)] = []
  private var hasDeltas = false

  init(like subscription: Subscription, _ tailoring: Tailoring, base: DeltaBase?) {
    encoding = subscription.encoding
    windowBits = subscription.sharedWindowBits
    filter = tailoring.filter
    isDelta = tailoring.isDelta
    compressor = windowBits.map(subscription.channel.gateway.compression.compressor)
    self.base = base
    baseBefore = base
  }

  var hasGathered: Bool { gathered.count > 0 }

  /// Whether members of the other group might as well be in this one.
  func isLike(_ other: TailoredGroup) -> Bool {
    encoding == other.encoding && windowBits == other.windowBits && isDelta == other.isDelta
      && filter == other.filter && hasBase(other.base)
  }

  func takes(_ subscription: Subscription, _ tailoring: Tailoring, base: DeltaBase?) -> Bool {
    encoding == subscription.encoding && windowBits == subscription.sharedWindowBits
      && isDelta == tailoring.isDelta && filter == tailoring.filter && hasBase(base)
  }

  private func hasBase(_ other: DeltaBase?) -> Bool {
    guard isDelta else { return true }
    guard let base, let other else { return base == nil && other == nil }
    return base.isSame(as: other)
  }

  func add(_ subscription: Subscription) {
    subscription.state = .live(index: members.count)
    subscription.tailoring?.group = self
    members.append(subscription)
  }

  func remove(at index: Int) {
    guard index < members.count else { return }
    members[index].tailoring?.group = nil
    let last = members.removeLast()
    guard index < members.count else { return }
    members[index] = last
    last.state = .live(index: index)
  }

  // MARK: publications

  func append(
    _ arrival: Arrival, _ newest: DeltaBase, _ making: inout DeltaMaking, prefix: [UInt8],
    key: MergeKey?, merges: Bool
  ) {
    guard let form = encoding.centrifuge, filter.admits(arrival) else { return }
    var delta: [UInt8]?
    if isDelta, let base { delta = making.delta(from: base, in: form.encoding) }
    if delta != nil { hasDeltas = true }
    if isDelta { arrivals.append((arrival, merges ? key : nil)) }
    base = newest
    Self.append(arrival, delta, key: merges ? .some(key) : nil, self, prefix, to: &gathered)
  }

  /// - Parameter key: nil where the channel merges nothing.
  private static func append(
    _ arrival: Arrival, _ delta: [UInt8]?, key: MergeKey??, _ group: TailoredGroup, _ prefix: [UInt8],
    to chunk: inout EncodedPublications
  ) {
    if chunk.count == 0 { chunk.first = arrival.position }
    chunk.last = arrival.position
    if let key { chunk.keys.append(key) }
    group.encoding.append(
      arrival, delta: delta, asDelta: group.isDelta, prefix: prefix, compressor: group.compressor,
      to: &chunk.bytes)
    chunk.count += 1
    // What the filter leaves out makes places that don't follow each other.
    chunk.marks.append(.init(end: chunk.bytes.count, position: arrival.position))
  }

  /// What a turn has for members.
  struct Chunk {
    var publications: EncodedPublications
    /// Some are deltas: to be taken as a whole or not at all.
    var hasDeltas: Bool
    var arrivals: [(arrival: Arrival, key: MergeKey?)]
  }

  func take() -> Chunk {
    let chunk = Chunk(publications: gathered, hasDeltas: hasDeltas, arrivals: arrivals)
    gathered = EncodedPublications(bytes: [], count: 0, marks: [])
    (arrivals, hasDeltas, baseBefore) = ([], false, base)
    return chunk
  }

  /// The same, each publication whole.
  func whole(_ chunk: Chunk, prefix: [UInt8]) -> EncodedPublications {
    guard chunk.hasDeltas else { return chunk.publications }
    var whole = EncodedPublications(bytes: [], count: 0, marks: [])
    let merges = !chunk.publications.keys.isEmpty
    for (arrival, key) in chunk.arrivals {
      Self.append(arrival, nil, key: merges ? .some(key) : nil, self, prefix, to: &whole)
    }
    return whole
  }
}

/// A channel's live subscribers that have a filter or get deltas.
///
/// A delta stands for something only behind the publication that it was made from. So deltas are
/// given to a client's stream, from where nothing is ever left out, or not at all: whoever is slow
/// gets the same publications whole, which may wait, be left out, or be read again from the history,
/// and deltas again once it has taken a whole one. Loop-confined.
final class TailoredSubscribers {
  private var groups: [TailoredGroup] = []
  private let prefix: [UInt8]

  init(prefix: [UInt8]) { self.prefix = prefix }

  var count: Int { groups.reduce(0) { $0 + $1.members.count } }
  var members: [Subscription] { groups.flatMap(\.members) }

  /// Nothing is gathered at the moment.
  func add(_ subscription: Subscription) {
    guard let tailoring = subscription.tailoring else { return }
    add(subscription, tailoring, base: tailoring.base)
  }

  private func add(
    _ subscription: Subscription, _ tailoring: Tailoring, base: DeltaBase?
  ) {
    tailoring.base = nil
    if let group = groups.first(where: { $0.takes(subscription, tailoring, base: base) }) {
      return group.add(subscription)
    }
    let group = TailoredGroup(like: subscription, tailoring, base: base)
    group.add(subscription)
    groups.append(group)
  }

  func remove(_ subscription: Subscription, at index: Int) {
    guard let group = subscription.tailoring?.group else { return }
    group.remove(at: index)
    if group.members.isEmpty { groups.removeAll { $0 === group } }
  }

  /// The client was told something that others weren't: what comes next is held against that.
  func rebase(_ subscription: Subscription) {
    guard case .live(let index) = subscription.state, let tailoring = subscription.tailoring,
      tailoring.isDelta
    else { return }
    let base = tailoring.base
    remove(subscription, at: index)
    add(subscription, tailoring, base: base)
  }

  /// Encodes a publication once for each group that wants it. Returns how many deltas were made.
  func append(_ arrival: Arrival, key: MergeKey?, merges: Bool) -> Int {
    var making = DeltaMaking(arrival.payload)
    let newest = DeltaBase(arrival)
    for group in groups {
      group.append(arrival, newest, &making, prefix: prefix, key: key, merges: merges)
    }
    return making.count
  }

  /// Hands over what this turn has.
  ///
  /// - Parameters:
  ///   - publisher: the client that gets nothing of it.
  ///   - spared: called with its subscription.
  /// - Returns: publications that were handed over.
  func flush(
    without publisher: UInt64? = nil, spared: (Subscription) -> Void = { _ in }
  ) -> Int {
    var moved: [(Subscription, DeltaBase?)] = []
    var delivered = 0
    for group in groups where group.hasGathered {
      let before = group.baseBefore
      let chunk = group.take()
      var whole: EncodedPublications?
      for member in group.members {
        if let publisher, member.session.clientNumber == publisher {
          spared(member)
          if group.isDelta { moved.append((member, before)) }
          continue
        }
        delivered += chunk.publications.count
        if chunk.hasDeltas, member.deliverAtOnce(chunk.publications) { continue }
        let publications = whole ?? group.whole(chunk, prefix: prefix)
        whole = publications
        member.deliver(publications)
        // Something of it may be left out yet.
        if group.isDelta, member.isLive, member.session.hasOutbox { moved.append((member, nil)) }
      }
    }
    settle(moved)
    return delivered
  }

  private func settle(_ moved: [(Subscription, DeltaBase?)]) {
    for (member, base) in moved {
      guard case .live(let index) = member.state, let tailoring = member.tailoring else { continue }
      remove(member, at: index)
      add(member, tailoring, base: base)
    }
    guard groups.count > 1 else { return }
    var kept: [TailoredGroup] = []
    for group in groups where !group.members.isEmpty {
      if let same = kept.first(where: { $0.isLike(group) }) {
        for member in group.members { same.add(member) }
      } else {
        kept.append(group)
      }
    }
    groups = kept
  }
}

extension Encoding {
  /// Appends one publication for a subscriber that has a filter or gets deltas.
  ///
  /// - Parameters:
  ///   - delta: what it is told in place of the payload.
  ///   - asDelta: the client reads every publication as one that might be a delta.
  func append(
    _ arrival: Arrival, delta: [UInt8]? = nil, asDelta: Bool, prefix: [UInt8],
    compressor: MessageCompressor? = nil, to output: inout [UInt8]
  ) {
    guard let form = centrifuge else { return }
    var publication = CentrifugePublication(arrival, in: form.encoding)
    if let delta {
      (publication.data, publication.isDelta) = (delta, true)
    } else if asDelta {
      publication.data = form.encoding.deltaData(publication.data)
    }
    append(form.push(publication, prefix), compressor: compressor, to: &output)
  }
}
