internal import Bytes
internal import HubCore
internal import Wire

/// A gateway: its links to hub and store, its channels, and the connections of its clients. A stand-in for
/// `GatewayLoop`, which is bound to sockets; the rules of its channels are `GatewayChannel`'s.
final class SimulatedGateway {
  let world: World
  let swarm: Swarm
  private let hub: SimulatedHub
  private let store: StoreHost
  private(set) var isUp = true
  private var generation = 0
  private var hubLink: (link: SimulatedLink, number: LinkNumber)?
  private(set) var storeLink: SimulatedLink?
  private var channels: [ChannelName: GatewayChannel] = [:]
  private var order: [ChannelName] = []
  private var clients: [SimulatedLink] = []

  init(_ world: World, _ swarm: Swarm, _ hub: SimulatedHub, _ store: StoreHost) {
    self.world = world
    self.swarm = swarm
    self.hub = hub
    self.store = store
    dialHub()
    dialStore()
  }

  private func later(_ delay: Int64, _ body: @escaping () -> Void) {
    world.after(delay) { [self, generation] in if isUp, generation == self.generation { body() } }
  }

  // MARK: links

  private func dialHub() {
    later(world.between(1_000...120_000)) { [self] in
      guard hubLink == nil else { return }
      guard let made = hub.connect(self) else { return dialHub() }
      hubLink = made
      made.link.onCut.append { [weak self] in
        guard let self, hubLink?.link === made.link else { return }
        hubLink = nil
        for name in order { channels[name]?.detached() }
        dialHub()
      }
      for name in order { if let channel = channels[name] { attach(channel) } }
    }
  }

  private func dialStore() {
    later(world.between(1_000...120_000)) { [self] in
      guard storeLink == nil else { return }
      guard let made = store.connect() else { return dialStore() }
      storeLink = made
      made.onCut.append { [weak self] in
        guard let self, storeLink === made else { return }
        storeLink = nil
        dialStore()
      }
      // The store may be another than before: every channel compares its head.
      for name in order { channels[name]?.catchUp() }
    }
  }

  func attach(_ channel: GatewayChannel) {
    guard channel.handle == .none, !channel.isOpening, let (link, number) = hubLink else { return }
    channel.isOpening = true
    link.ask(within: 5_000_000) { [hub] answer in
      answer(hub.open(channel.name, by: number))
    } _: { [weak self] (handle: ChannelHandle??) in
      guard let self, hubLink?.number == number, channels[channel.name] === channel else { return }
      if let handle = handle ?? nil { return channel.opened(handle) }
      channel.isOpening = false
      later(100_000) { self.attach(channel) }
    }
  }

  func received(_ message: Announced, _ handle: ChannelHandle) {
    guard isUp, let channel = channels[message.name], channel.handle == handle else { return }
    channel.received(Arrival(position: message.position, text: message.text))
  }

  func missed(_ name: ChannelName) {
    if isUp { channels[name]?.catchUp() }
  }

  func read(_ name: ChannelName, after: Offset, count: Int, _ done: @escaping (PageAnswer?) -> Void)
  {
    guard let storeLink else { return later(0) { done(nil) } }
    storeLink.ask(within: 5_000_000) { [store] answer in
      store.read(name, after: after, count: count, answer)
    } _: { [self, generation] (page: PageAnswer??) in
      if isUp, generation == self.generation { done(page ?? nil) }
    }
  }

  // MARK: clients

  func connect() -> SimulatedLink? {
    guard isUp else { return nil }
    let link = SimulatedLink(world, swarm.linkDelay)
    clients = clients.filter(\.isUp) + [link]
    return link
  }

  func subscribe(
    _ client: SimulatedClient, to name: ChannelName, _ link: SimulatedLink, _ number: Int,
    since: Position?
  ) {
    guard isUp else { return }
    let channel = channels[name] ?? GatewayChannel(name, self)
    if channels[name] == nil {
      channels[name] = channel
      order.append(name)
    }
    let subscription = GatewaySubscription(client, of: channel, link, number, since: since)
    channel.add(subscription)
    link.onCut.append { [weak channel] in channel?.remove(subscription) }
    attach(channel)
  }

  /// An append or a job of an operator, passed through; nil where nothing is known of it.
  func pass<Answer>(
    _ make: @escaping (@escaping (Answer?) -> Void) -> StoreHost.Job,
    _ done: @escaping (Answer?) -> Void
  ) {
    guard let storeLink else { return later(0) { done(nil) } }
    storeLink.ask(within: 2_000_000) { [store] answer in
      if !store.take(make(answer)) { answer(nil) }
    } _: { [self, generation] (answer: Answer??) in
      if isUp, generation == self.generation { done(answer ?? nil) }
    }
  }

  // MARK: faults

  func restart() {
    world.note("gateway ends")
    isUp = false
    generation += 1
    let cut = clients + [hubLink?.link, storeLink].compactMap { $0 }
    hubLink = nil
    storeLink = nil
    clients = []
    for link in cut { link.cut() }
    channels = [:]
    order = []
    world.after(world.between(1_000...500_000)) { [self] in
      isUp = true
      dialHub()
      dialStore()
    }
  }

  func cutOne() {
    let links = [hubLink?.link, storeLink].compactMap { $0 } + clients.filter(\.isUp)
    if !links.isEmpty { world.one(of: links).cut() }
  }

}
