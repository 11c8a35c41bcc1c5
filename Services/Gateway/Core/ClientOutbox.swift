internal import Bytes
internal import Loop
internal import Observe
internal import Platform

/// What one client could not be given yet, in lanes, and the steps taken where it is too much.
///
/// There is one only while something waits: a client that keeps up never has it. A small window is
/// committed to the stream at a time; what is committed leaves in its order, so the rest stays here,
/// where what is urgent can overtake it. Committing is the moment at which a carrier gives bytes
/// their final form: ids of streams, contexts of compression. Loop-confined.
final class ClientOutbox {
  private unowned let session: ClientSession
  private let carrier: any Carrier
  private var lanes = OutboundLanes()
  /// By flow; nil: no channel's.
  private var owners: [Subscription?] = []
  private let controlFlow: OutboundLanes.Flow
  private let stateFlow: OutboundLanes.Flow

  init(_ session: ClientSession, _ carrier: any Carrier) {
    self.session = session
    self.carrier = carrier
    controlFlow = lanes.open(.control)
    stateFlow = lanes.open(.state)
    owners = [nil, nil]
  }

  private var gateway: GatewayLoop { session.gateway }
  private var metrics: SlowMetrics { gateway.metrics.slow }

  /// BUDGET: answers and what else can't be left out, beside the client's queue.
  private static let pinnedBytesMax = 2 << 20

  var isEmpty: Bool { lanes.isEmpty }
  var bytes: Int { lanes.bytes }
  /// Bytes that none may leave out: answers, news of members.
  var pinnedBytes: Int { lanes.pinnedBytes }
  func bytes(upTo lane: Lane) -> Int { lanes.bytes(upTo: lane) }

  // MARK: in

  /// Keeps what follows the first `sent` bytes, which the stream has taken. What is left of a message
  /// that was begun goes to the stream, and a window of what follows it.
  func hold(_ publications: EncodedPublications, from sent: Int, of subscription: Subscription) {
    gateway.memory.grew(by: publications.bytes.count - sent)
    let ends = publications.ends(subscription.encoding)
    let isMergeable = publications.keys.count == ends.count
    var start = 0
    var index = 0
    while index < ends.count {
      // Keys belong to single messages; others go together as far as a window reaches.
      var next = index + 1
      while !isMergeable, next < ends.count, ends[next] - max(start, sent) <= Stream.windowBytes {
        next += 1
      }
      let end = ends[next - 1]
      if end > sent {
        var parcel = publications.parcel(index..<next, start..<end, since: gateway.loop.now)
        if start < sent {
          parcel.start += sent - start
          commit(parcel, of: subscription)
        } else if isEmpty, carrier.queuedBytes < Stream.windowBytes {
          commit(parcel, of: subscription)
        } else if !admit(parcel, of: subscription) {
          return parked(subscription, without: publications, from: index)
        }
      }
      (start, index) = (end, next)
    }
  }

  /// Keeps something for this client alone that is part of a channel's order.
  func hold(_ parcel: Parcel, of subscription: Subscription) {
    gateway.memory.grew(by: parcel.size)
    _ = lanes.append(parcel, to: flow(of: subscription))
    checkPinned()
  }

  /// Keeps a message: in the order of a channel, where it belongs to one.
  func hold(_ message: ServerMessage, of subscription: Subscription?) {
    let parcel = Parcel(
      bytes: [], start: 0, end: message.json.count, count: 0, notice: .init(.message(message)),
      since: gateway.loop.now)
    if let subscription {
      _ = lanes.append(parcel, to: flow(of: subscription))
    } else {
      _ = lanes.append(parcel, to: message.isState ? stateFlow : controlFlow)
    }
    checkPinned()
  }

  /// Keeps bytes that are for the client itself, such as a pong.
  func hold(control bytes: [UInt8]) {
    _ = lanes.append(
      Parcel(bytes: bytes, start: 0, end: bytes.count, count: 0, since: gateway.loop.now),
      to: controlFlow)
    checkPinned()
  }

  func hold(begins position: Subscription.Since, of subscription: Subscription) {
    let parcel = Parcel(
      bytes: [], start: 0, end: OutboundLanes.noticeBytes, count: 0,
      notice: .init(.begins(position)), since: gateway.loop.now)
    _ = lanes.append(parcel, to: flow(of: subscription))
  }

  /// Whether something of the channel waits.
  func holds(_ subscription: Subscription) -> Bool { subscription.flow.map { !lanes.isEmpty($0) } ?? false }

  /// What waits of the channel is not left to its history: it is to be read from further on alone.
  func pin(_ subscription: Subscription) {
    if let flow = subscription.flow { lanes.pin(flow) }
  }

  /// The client has left the channel: what waits of it is forgotten.
  func forget(_ subscription: Subscription) {
    guard let flow = subscription.flow else { return }
    subscription.flow = nil
    owners[flow] = nil
    lanes.close(flow)
  }

  /// Nothing is kept any more.
  func end() {
    for owner in owners { owner?.flow = nil }
  }

  private func flow(of subscription: Subscription) -> OutboundLanes.Flow {
    if let flow = subscription.flow { return flow }
    let flow = lanes.open(subscription.channel.policy.lane)
    if flow == owners.count { owners.append(subscription) } else { owners[flow] = subscription }
    subscription.flow = flow
    return flow
  }

  private func checkPinned() {
    if lanes.pinnedBytes > Self.pinnedBytesMax + 2 * session.queueBytesMax { session.cutOff() }
  }

  // MARK: the ladder

  private var room: Int { session.queueBytesMax - lanes.bytes - carrier.queuedBytes }

  /// Whether what follows of the same publications may come too.
  private func admit(_ parcel: Parcel, of subscription: Subscription) -> Bool {
    let flow = flow(of: subscription)
    // Whatever makes room makes some more, so that not every parcel has to.
    if parcel.size > room { makeRoom(parcel.size + session.queueBytesMax / 8, beside: flow) }
    guard !session.isOver, subscription.isLive else { return false }
    let ladder = subscription.channel.slow
    var step = ladder.step(
      parcel.size, waiting: lanes.publicationBytes(flow), isMerging: lanes.isMerging(flow), room: room)
    if step == .merge {
      merge(flow, subscription)
      step = ladder.step(
        parcel.size, waiting: lanes.publicationBytes(flow), isMerging: true, room: room)
    }
    if step == .skip, lanes.publicationBytes(flow) > 0 {
      skip(flow, subscription, parcel.size)
      if parcel.size <= room { step = .buffer }
    }
    guard step != .buffer else {
      metrics.publications[.buffer].add(count: parcel.count)
      let replaced = lanes.append(parcel, to: flow)
      if replaced > 0 { metrics.publications[.merge].add(count: replaced) }
      return true
    }
    return take(step, subscription, flow, parcel)
  }

  /// What stands in no history can't be read on from there.
  private func parked(
    _ subscription: Subscription, without publications: EncodedPublications, from index: Int
  ) {
    guard publications.first == nil, case .parked = subscription.state else { return }
    let count = publications.count - index
    lanes.skipped(count, in: flow(of: subscription))
    note(.skip, subscription, count)
  }

  /// The last step, for publications that have not come in yet.
  private func take(
    _ step: SlowLadder.Step, _ subscription: Subscription, _ flow: OutboundLanes.Flow,
    _ parcel: Parcel
  ) -> Bool {
    if step == .park, park(flow, subscription, before: parcel.first) { return false }
    if step == .disconnect {
      metrics.clients[.disconnect].add()
      session.cutOff()
      return false
    }
    // All that waited was older, so it can't stay either.
    skip(flow, subscription, .max)
    lanes.skipped(parcel.count, in: flow)
    note(.skip, subscription, parcel.count)
    return true
  }

  /// Has those channels step down that take most room, this one as well if it is one of them.
  private func makeRoom(_ wanted: Int, beside mine: OutboundLanes.Flow) {
    var isStuck = false
    while room < wanted, !isStuck, !session.isOver {
      let heaviest = lanes.heaviest { owners[$0]?.isLive == true }
      guard let flow = heaviest, flow != mine, let subscription = owners[flow] else { return }
      let before = room
      stepDown(flow, subscription, wanted - before)
      isStuck = room <= before
    }
  }

  private func stepDown(_ flow: OutboundLanes.Flow, _ subscription: Subscription, _ wanted: Int) {
    let ladder = subscription.channel.slow
    if ladder.merge != nil, !lanes.isMerging(flow) {
      merge(flow, subscription)
      if room >= wanted { return }
    }
    switch ladder.last {
    case .disconnect:
      metrics.clients[.disconnect].add()
      session.cutOff()
    case .park where park(flow, subscription, before: nil): break
    default: skip(flow, subscription, wanted)
    }
  }

  private func merge(_ flow: OutboundLanes.Flow, _ subscription: Subscription) {
    metrics.clients[.merge].add()
    metrics.publications[.merge].add(count: lanes.merge(flow))
  }

  private func skip(_ flow: OutboundLanes.Flow, _ subscription: Subscription, _ wanted: Int) {
    note(.skip, subscription, lanes.skip(flow, wanted))
  }

  /// Leaves a channel to its history, from the first publication on that has not left yet. False
  /// where publications have no place in one.
  private func park(
    _ flow: OutboundLanes.Flow, _ subscription: Subscription, before newcomer: Position?
  ) -> Bool {
    guard let position = lanes.firstPlace(flow) ?? newcomer, position.offset > .zero else {
      return false
    }
    let taken = lanes.takeBack(flow)
    note(.park, subscription, taken.kept)
    if taken.lost > 0 { note(.skip, subscription, taken.lost) }
    subscription.channel.park(subscription, from: position)
    session.hasParked()
    return true
  }

  private func note(_ step: SlowLadder.Step, _ subscription: Subscription, _ count: Int) {
    if step == .park || count > 0, subscription.behindSince == nil {
      metrics.clients[step].add()
      subscription.behindSince = gateway.loop.now
    }
    metrics.publications[step].add(count: count)
    gateway.metrics.limits.clientQueueBytes.add(count: max(1, count))
    if step == .skip { gateway.metrics.dropped.add(count: count) }
  }

  // MARK: out

  /// Commits what the stream has room for. Called when it is empty, and asks to be called again.
  func refill() {
    while carrier.queuedBytes < Stream.windowBytes, let next = lanes.next() {
      commit(next.output, next.flow, next.lane)
    }
    if !isEmpty { carrier.tellWhenEmpty() }
  }

  /// Commits all that waits, or all of the control lane, whatever the room: the last is to follow.
  func commitLast(all: Bool) {
    while all || lanes.bytes(upTo: .control) > 0, let next = lanes.next() {
      if all || next.lane == .control { commit(next.output, next.flow, next.lane) }
    }
  }

  private func commit(_ output: OutboundLanes.Output, _ flow: OutboundLanes.Flow, _ lane: Lane) {
    let owner = owners[flow]
    switch output {
    case .skipped(let count):
      if let owner { carrier.tell(.gap(owner.channel.name, dropped: count)) }
    case .parcel(let parcel):
      metrics.waited(in: lane).record(gateway.loop.now.since(parcel.since))
      commit(parcel, of: owner)
    }
    guard let owner, lanes.isEmpty(flow) else { return }
    if owner.isLive { owner.behindSince = nil }
    forget(owner)
  }

  private func commit(_ parcel: Parcel, of owner: Subscription?) {
    session.committedBytes &+= UInt64(parcel.size)
    switch parcel.notice?.what {
    case .message(let message): return carrier.tell(message)
    case .begins(let position):
      if let owner { carrier.begins(owner, after: position) }
      return
    case nil: break
    }
    guard let owner, !owner.isDirect else {
      return carrier.send(parcel.bytes, parcel.start, parcel.end)
    }
    let isWhole = parcel.start == 0 && parcel.end == parcel.bytes.count
    carrier.deliver(
      EncodedPublications(
        bytes: isWhole ? parcel.bytes : [UInt8](parcel.bytes[parcel.start..<parcel.end]),
        count: parcel.count, marks: parcel.marks), of: owner)
  }
}

extension EncodedPublications {
  /// Where each message ends.
  func ends(_ encoding: Encoding) -> [Int] {
    marks.isEmpty ? encoding.ends(bytes.span) : marks.map(\.end)
  }

  /// Some of the publications, by their number and their bytes.
  func parcel(_ numbers: Range<Int>, _ range: Range<Int>, since: Instant) -> Parcel {
    // A small part would keep all of the others' bytes.
    let isCopied = range.count <= 512 || range.count * 4 < bytes.count
    var place: Position?
    if let first, let last, first.epoch == last.epoch,
      last.offset.value &- first.offset.value == UInt64(count - 1)
    {
      place = Position(
        epoch: first.epoch, offset: Offset(first.offset.value + UInt64(numbers.lowerBound)))
    } else if !marks.isEmpty {
      // Where a filter left some out.
      place = marks[numbers.lowerBound].position
    }
    return Parcel(
      bytes: isCopied ? [UInt8](bytes[range]) : bytes, start: isCopied ? 0 : range.lowerBound,
      end: isCopied ? range.count : range.upperBound, count: numbers.count, first: place,
      key: keys.count == count ? keys[numbers.lowerBound] : nil,
      marks: marks.isEmpty
        ? [] : marks[numbers].map { .init(end: $0.end - range.lowerBound, position: $0.position) },
      since: since)
  }
}
