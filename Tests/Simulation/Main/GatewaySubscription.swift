internal import Bytes
internal import Wire

/// What cannot be had, as a client is told.
struct Unrecoverable {
  enum Reason { case epochChanged, trimmed, ahead }
  let reason: Reason
  let epoch: Epoch?
  let floor: Offset
  let head: Offset
}

/// One client's interest in a channel: from its position by pages to the seam, then live.
///
/// A stand-in for `Subscription` with the rules of `LocalChannel+Replay`, under the same names.
final class GatewaySubscription {
  struct Replay {
    var epoch: Epoch?
    var delivered: Offset
    var isReading = false
    var isChecking = false
    var failures: Int64 = 0
  }

  enum State {
    /// For the channel to be live; nil from now on.
    case waiting(since: Position?)
    case replaying(Replay)
    /// Further than its channel, which has still to see what was delivered.
    case awaiting(Position)
    case live
    case ended
  }

  var state: State
  let link: SimulatedLink
  private unowned let client: SimulatedClient
  unowned let channel: GatewayChannel
  private let number: Int
  private var hasBegun = false

  init(
    _ client: SimulatedClient, of channel: GatewayChannel, _ link: SimulatedLink, _ number: Int,
    since: Position?
  ) {
    self.client = client
    self.channel = channel
    self.link = link
    self.number = number
    state = .waiting(since: since)
  }

  private var gateway: SimulatedGateway { channel.gateway }
  private var name: ChannelName { channel.name }

  // MARK: to the client

  func send(_ arrival: Arrival) {
    link.sendBack { [client, name, number] in client.got(arrival, of: name, number) }
  }

  func tell(_ reason: Unrecoverable.Reason, _ epoch: Epoch?, _ floor: Offset, _ head: Offset) {
    let word = Unrecoverable(reason: reason, epoch: epoch, floor: floor, head: head)
    link.sendBack { [client, name, number] in client.lost(word, of: name, number) }
  }

  func refuse() {
    channel.remove(self)
    link.sendBack { [client, name, number] in client.refused(name, number) }
  }

  private func begins(after position: Position?) {
    hasBegun = true
    link.sendBack { [client, name, number] in client.begins(after: position, of: name, number) }
  }

  // MARK: steps

  func advance() {
    guard channel.phase == .live else { return }
    switch state {
    case .live, .ended, .awaiting: return
    case .replaying(let replay):
      if !replay.isReading { read(replay) }
    case .waiting(nil):
      begins(after: channel.position)
      channel.goLive(self)
    case .waiting(let from?): goOn(Replay(epoch: from.epoch, delivered: from.offset))
    }
  }

  private func goOn(_ from: Replay) {
    var replay = from
    if let position = channel.position {
      guard replay.epoch == position.epoch else {
        return beginAnew(.epochChanged, position.epoch, position.offset)
      }
      replay.isChecking = replay.delivered > position.offset
    } else {
      replay.isChecking = true
    }
    read(replay)
  }

  func beginAnew(
    _ reason: Unrecoverable.Reason, _ epoch: Epoch?, _ head: Offset, floor: Offset = .zero
  ) {
    begins(after: channel.position)
    tell(reason, epoch, floor, head)
    channel.goLive(self)
  }

  private func read(_ from: Replay) {
    var replay = from
    replay.isReading = true
    state = .replaying(replay)
    gateway.read(
      name, after: replay.delivered, count: replay.isChecking ? 0 : gateway.swarm.pageCount
    ) { [self] answer in
      guard case .replaying(var replay) = state else { return }
      guard let answer else { return retry(replay) }
      guard case .page(let page) = answer else { return refuse() }
      replay.isReading = false
      replay.failures = 0
      if replay.isChecking { checked(page, replay) } else { deliver(page, replay) }
    }
  }

  private func retry(_ from: Replay) {
    var replay = from
    replay.failures = min(replay.failures + 1, 16)
    replay.isReading = true
    state = .replaying(replay)
    gateway.world.after(min(2_000, 50 << min(replay.failures, 6)) * 1_000) { [self] in
      if case .replaying(let replay) = state { read(replay) }
    }
  }

  /// A position beyond what the gateway has seen may be right, or of a future that never came.
  private func checked(_ page: EventPage, _ from: Replay) {
    var replay = from
    replay.isChecking = false
    let isSame = page.epoch == replay.epoch
    if isSame, replay.delivered <= page.head {
      begins(after: position(replay))
      return join(replay)
    }
    replay = Replay(epoch: page.epoch, delivered: page.head)
    begins(after: position(replay))
    tell(isSame ? .ahead : .epochChanged, page.epoch, page.floor, page.head)
    read(replay)
  }

  private func position(_ replay: Replay) -> Position? {
    replay.epoch.map { Position(epoch: $0, offset: replay.delivered) }
  }

  private func deliver(_ page: EventPage, _ from: Replay) {
    var replay = from
    let applied = channel.position?.offset ?? .zero
    if let known = replay.epoch, page.epoch != known || page.head < replay.delivered {
      guard channel.phase == .live, channel.position?.epoch == page.epoch, applied <= page.head
      else {
        return waitForChannel(replay)
      }
      return beginAnew(
        page.epoch == known ? .ahead : .epochChanged, page.epoch, applied, floor: page.floor)
    }
    let before = replay.delivered
    replay.epoch = page.epoch
    let isTrimmed = replay.delivered < page.floor
    if isTrimmed { replay.delivered = page.floor }
    if isTrimmed || !hasBegun { begins(after: position(replay)) }
    if isTrimmed { tell(.trimmed, page.epoch, page.floor, page.head) }
    if let epoch = page.epoch {
      for event in page.events where event.offset > replay.delivered {
        send(Arrival(event, epoch))
        replay.delivered = event.offset
      }
    }
    if page.hasMore { return read(replay) }
    join(replay, broughtNothing: replay.delivered == before)
  }

  /// The seam: what was applied while the page was read, then live.
  private func join(_ from: Replay, broughtNothing: Bool = false) {
    var replay = from
    if let position = channel.position, let epoch = replay.epoch, position.epoch != epoch {
      return waitForChannel(replay)
    }
    if replay.delivered < channel.position?.offset ?? .zero {
      guard channel.phase == .live else {
        state = .replaying(replay)
        return
      }
      guard let first = channel.recent.first?.position, first.epoch == channel.position?.epoch,
        first.offset <= replay.delivered.next
      else {
        guard broughtNothing else { return read(replay) }
        retry(replay)
        return channel.catchUp()
      }
      for arrival in channel.recent where arrival.position.offset > replay.delivered {
        send(arrival)
        replay.delivered = arrival.position.offset
      }
    }
    guard let at = position(replay) else { return channel.goLive(self) }
    if at.offset > channel.position?.offset ?? .zero {
      state = .awaiting(at)
    } else {
      channel.goLive(self)
    }
  }

  /// The history is another than the gateway has applied: goes on once that knows it.
  private func waitForChannel(_ replay: Replay) {
    state = .replaying(replay)
    channel.catchUp()
  }
}
