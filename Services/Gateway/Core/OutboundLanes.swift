internal import Bytes
internal import Platform

/// By what a state-like channel's publications replace each other; compared byte by byte.
typealias MergeKey = [UInt8]

/// Something that waits for one client: whole messages, which leave together.
struct Parcel {
  /// Shared with others, as a rule; what leaves is from `start` to `end`.
  var bytes: [UInt8]
  var start: Int
  var end: Int
  /// Publications in it. 0: none may leave it out, since it is no publication, or for this client
  /// alone.
  var count: Int
  /// Of the first publication.
  var first: Position?
  var key: MergeKey?
  /// Where publications end, from `start` on, of encodings that have marks.
  var marks: [EncodedPublications.Mark] = []
  /// Said in the carrier's own form once it leaves.
  var notice: Notice?
  var since: Instant

  var size: Int { end - start }

  final class Notice {
    enum What {
      case message(ServerMessage)
      case begins(Subscription.Since)
    }

    let what: What
    init(_ what: What) { self.what = what }
  }
}

/// What waits for one client: four lanes, in each the channels in turn, in each channel its order.
/// Pure.
///
///     control │ answers, pings
///     state   │ a a a   b b          each a flow: first in, first out
///     normal  │ c c c c              flows of a lane take turns, by bytes
///     bulk    │ d d d d d d d d d
///
/// A flow may leave out publications at its front, which it says in their place, or have later ones
/// take the place of earlier ones of the same key. Nothing else is ever lost here.
struct OutboundLanes {
  typealias Flow = Int

  enum Output {
    case parcel(Parcel)
    /// So many publications of the flow were left out here.
    case skipped(UInt64)
  }

  private struct FlowState {
    var lane: Lane
    var parcels: [Parcel] = []
    var first = 0
    /// Of parcels that may be left out.
    var publicationBytes = 0
    var skipped: UInt64 = 0
    /// Bytes that the flow was ahead of its turn.
    var debt = 0
    var isWaiting = false
    /// Where the parcel of a key stands, counted from the flow's first parcel ever; nil: not merged.
    var places: [MergeKey: Int]?
    var taken = 0

    var isEmpty: Bool { first == parcels.count && skipped == 0 }
    /// Never 0: that is what nothing counts as.
    var nextBytes: Int { skipped > 0 ? OutboundLanes.noticeBytes : max(1, parcels[first].size) }
  }

  private struct Line {
    var order: [Flow] = []
    var first = 0
    var bytes = 0

    var head: Flow? { first < order.count ? order[first] : nil }

    mutating func removeHead() {
      first += 1
      guard first >= 64 || first == order.count else { return }
      order.removeFirst(first)
      first = 0
    }
  }

  /// BUDGET: what one flow of a lane may send before the next has its turn.
  static let quantum = 16 * 1024
  /// BUDGET: what a flow that sent a large message is held back by at most.
  private static let debtMax = 64 * quantum
  /// BUDGET: parcels that came one by one are put together up to this.
  static let gatheredBytes = 4 * 1024
  /// What a notice of what was left out counts as.
  static let noticeBytes = 64

  private var flows: [FlowState] = []
  private var free: [Flow] = []
  private var lines = [Line](repeating: Line(), count: Lane.allCases.count)
  private var schedule = LaneSchedule()
  /// All bytes that wait, and those that none may leave out.
  private(set) var bytes = 0
  private(set) var pinnedBytes = 0

  var isEmpty: Bool { lines.allSatisfy { $0.head == nil } }

  /// Bytes in this lane and in more urgent ones.
  func bytes(upTo lane: Lane) -> Int { lines[...lane.rawValue].reduce(0) { $0 + $1.bytes } }

  // MARK: flows

  mutating func open(_ lane: Lane) -> Flow {
    if let flow = free.popLast() {
      flows[flow] = FlowState(lane: lane)
      return flow
    }
    flows.append(FlowState(lane: lane))
    return flows.count - 1
  }

  /// Forgets a flow and what waits in it.
  mutating func close(_ flow: Flow) {
    for parcel in flows[flow].parcels[flows[flow].first...] { count(parcel, in: flow, by: -1) }
    let lane = flows[flow].lane
    let wasWaiting = flows[flow].isWaiting
    flows[flow] = FlowState(lane: lane)
    free.append(flow)
    if wasWaiting { rebuildLine(lane) }
  }

  func isEmpty(_ flow: Flow) -> Bool { flows[flow].isEmpty }
  func publicationBytes(_ flow: Flow) -> Int { flows[flow].publicationBytes }
  func isMerging(_ flow: Flow) -> Bool { flows[flow].places != nil }

  /// Where the first publication that waits in the flow stands in the history, of those that do.
  func firstPlace(_ flow: Flow) -> Position? {
    for parcel in flows[flow].parcels[flows[flow].first...] where parcel.count > 0 {
      if let place = parcel.first { return place }
    }
    return nil
  }

  // MARK: in

  /// Puts a parcel at the end of a flow; one with a key takes the place of the flow's last one of
  /// that key, where the flow merges. Returns the publications that were replaced.
  mutating func append(_ parcel: Parcel, to flow: Flow) -> Int {
    if let key = parcel.key, let place = flows[flow].places?[key] {
      return replace(place, with: parcel, in: flow)
    }
    count(parcel, in: flow, by: 1)
    if gathered(parcel, flow) { return 0 }
    if let key = parcel.key, flows[flow].places != nil {
      let place = flows[flow].taken + flows[flow].parcels.count - flows[flow].first
      flows[flow].places?[key] = place
    }
    flows[flow].parcels.append(parcel)
    wait(flow)
    return 0
  }

  private mutating func replace(_ place: Int, with parcel: Parcel, in flow: Flow) -> Int {
    let index = place - flows[flow].taken + flows[flow].first
    let before = flows[flow].parcels[index]
    count(before, in: flow, by: -1)
    count(parcel, in: flow, by: 1)
    flows[flow].parcels[index] = parcel
    // Its key has waited as long as it had.
    flows[flow].parcels[index].since = before.since
    return before.count
  }

  /// Puts small parcels together: one that stands alone costs more than its bytes.
  private mutating func gathered(_ parcel: Parcel, _ flow: Flow) -> Bool {
    let last = flows[flow].parcels.count - 1
    guard last >= flows[flow].first, parcel.count > 0, parcel.key == nil, parcel.notice == nil,
      flows[flow].parcels[last].count > 0, flows[flow].parcels[last].key == nil,
      flows[flow].parcels[last].notice == nil,
      (flows[flow].parcels[last].first == nil) == (parcel.first == nil),
      flows[flow].parcels[last].size + parcel.size <= Self.gatheredBytes
    else { return false }
    if flows[flow].parcels[last].size < flows[flow].parcels[last].bytes.count {
      let whole = flows[flow].parcels[last]
      flows[flow].parcels[last].bytes = [UInt8](whole.bytes[whole.start..<whole.end])
      (flows[flow].parcels[last].start, flows[flow].parcels[last].end) = (0, whole.size)
    }
    let offset = flows[flow].parcels[last].size
    flows[flow].parcels[last].bytes.append(
      copying: parcel.bytes.span.extracting(parcel.start..<parcel.end))
    flows[flow].parcels[last].end += parcel.size
    flows[flow].parcels[last].count += parcel.count
    for mark in parcel.marks {
      flows[flow].parcels[last].marks.append(.init(end: offset + mark.end, position: mark.position))
    }
    return true
  }

  private mutating func count(_ parcel: Parcel, in flow: Flow, by sign: Int) {
    let size = sign * parcel.size
    bytes += size
    lines[flows[flow].lane.rawValue].bytes += size
    if parcel.count > 0 { flows[flow].publicationBytes += size } else { pinnedBytes += size }
  }

  private mutating func wait(_ flow: Flow) {
    guard !flows[flow].isWaiting else { return }
    flows[flow].isWaiting = true
    flows[flow].debt = 0
    lines[flows[flow].lane.rawValue].order.append(flow)
  }

  // MARK: out

  /// What leaves next.
  mutating func next() -> (flow: Flow, lane: Lane, output: Output)? {
    let heads = lines.indices.map { index in head(index).map { flows[$0].nextBytes } ?? 0 }
    guard let lane = schedule.take(heads), let flow = lines[lane.rawValue].head else { return nil }
    let output = takeFirst(flow)
    if flows[flow].isEmpty {
      flows[flow].isWaiting = false
      flows[flow].places = nil
      lines[lane.rawValue].removeHead()
    }
    return (flow, lane, output)
  }

  /// The flow of a lane whose turn it is.
  private mutating func head(_ lane: Int) -> Flow? {
    while let flow = lines[lane].head {
      guard flows[flow].debt >= Self.quantum, lines[lane].order.count - lines[lane].first > 1 else {
        return flow
      }
      flows[flow].debt -= Self.quantum
      lines[lane].order.append(flow)
      lines[lane].removeHead()
    }
    return nil
  }

  private mutating func takeFirst(_ flow: Flow) -> Output {
    if flows[flow].skipped > 0 {
      defer { flows[flow].skipped = 0 }
      return .skipped(flows[flow].skipped)
    }
    let index = flows[flow].first
    let parcel = flows[flow].parcels[index]
    flows[flow].parcels[index].bytes = []
    flows[flow].first += 1
    flows[flow].taken += 1
    if let key = parcel.key { flows[flow].places?[key] = nil }
    count(parcel, in: flow, by: -1)
    let line = lines[flows[flow].lane.rawValue]
    // Who is alone is ahead of nobody.
    let isAlone = line.order.count - line.first == 1
    flows[flow].debt = isAlone ? 0 : min(flows[flow].debt + parcel.size, Self.debtMax)
    if flows[flow].first >= 64 || flows[flow].first == flows[flow].parcels.count {
      flows[flow].parcels.removeFirst(flows[flow].first)
      flows[flow].first = 0
    }
    return .parcel(parcel)
  }

  // MARK: leaving out

  /// Has later publications of a key take the place of earlier ones, from what waits on. Returns how
  /// many were replaced.
  mutating func merge(_ flow: Flow) -> Int {
    let waiting = Array(flows[flow].parcels[flows[flow].first...])
    for parcel in waiting { count(parcel, in: flow, by: -1) }
    (flows[flow].parcels, flows[flow].first, flows[flow].places) = ([], 0, [:])
    return waiting.reduce(0) { $0 + append($1, to: flow) }
  }

  /// Leaves out the oldest publications of a flow, at least `wanted` bytes if there are so many and
  /// at least half of them; says how many in their place. Returns that number.
  mutating func skip(_ flow: Flow, _ wanted: Int) -> Int {
    var left = max(wanted, (flows[flow].publicationBytes + 1) / 2)
    let count = drop(flow) { parcel in
      guard left > 0 else { return false }
      left -= parcel.size
      return true
    }
    skipped(count, in: flow)
    return count
  }

  /// None of what waits in the flow may be left out or taken back any more.
  mutating func pin(_ flow: Flow) {
    for index in flows[flow].parcels.indices.dropFirst(flows[flow].first) {
      count(flows[flow].parcels[index], in: flow, by: -1)
      flows[flow].parcels[index].count = 0
      flows[flow].parcels[index].first = nil
      flows[flow].parcels[index].key = nil
      count(flows[flow].parcels[index], in: flow, by: 1)
    }
    flows[flow].places = nil
  }

  /// So many publications that never came here were left out, at the flow's end and before anything
  /// that may still come.
  mutating func skipped(_ count: Int, in flow: Flow) {
    guard count > 0 else { return }
    flows[flow].skipped &+= UInt64(count)
    wait(flow)
  }

  /// Takes all publications of a flow back, to be read from the history again; says how many stand in
  /// none. Returns both numbers.
  mutating func takeBack(_ flow: Flow) -> (kept: Int, lost: Int) {
    let lost = drop(flow) { $0.first == nil }
    let kept = drop(flow) { _ in true }
    skipped(lost, in: flow)
    if flows[flow].isWaiting, flows[flow].isEmpty {
      flows[flow].isWaiting = false
      rebuildLine(flows[flow].lane)
    }
    return (kept, lost)
  }

  /// Removes publications that `isOut` says are; what is no publication stays in its place.
  @discardableResult
  private mutating func drop(_ flow: Flow, _ isOut: (Parcel) -> Bool) -> Int {
    var kept: [Parcel] = []
    var dropped = 0
    for parcel in flows[flow].parcels[flows[flow].first...] {
      guard parcel.count > 0, isOut(parcel) else {
        kept.append(parcel)
        continue
      }
      dropped += parcel.count
      count(parcel, in: flow, by: -1)
    }
    (flows[flow].parcels, flows[flow].first) = (kept, 0)
    guard flows[flow].places != nil else { return dropped }
    var places: [MergeKey: Int] = [:]
    for (index, parcel) in kept.enumerated() {
      if let key = parcel.key { places[key] = flows[flow].taken + index }
    }
    flows[flow].places = places
    return dropped
  }

  private mutating func rebuildLine(_ lane: Lane) {
    let line = lines[lane.rawValue]
    lines[lane.rawValue].order = line.order[line.first...].filter { flows[$0].isWaiting }
    lines[lane.rawValue].first = 0
  }

  /// The flow whose publications take most room, of those that `isMovable` says can be stepped down.
  func heaviest(_ isMovable: (Flow) -> Bool) -> Flow? {
    var found: Flow?
    var most = 0
    for lane in lines {
      for flow in lane.order[lane.first...]
      where flows[flow].publicationBytes > most && isMovable(flow) {
        (found, most) = (flow, flows[flow].publicationBytes)
      }
    }
    return found
  }
}
