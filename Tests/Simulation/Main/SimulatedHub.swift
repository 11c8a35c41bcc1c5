internal import Bytes
internal import HubCore
internal import Wire

/// The hub: the real `RoutingTable`, and what `HubService` does with it for durable channels, restated: an
/// announcement is passed on once to each link that subscribes, and dealt with when nobody has the channel
/// open. What a link can't take is dropped and told as a gap.
final class SimulatedHub {
  private let world: World
  private let swarm: Swarm
  private(set) var isUp = true
  private var table = RoutingTable()
  private var gateways: [LinkNumber: (link: SimulatedLink, gateway: SimulatedGateway)] = [:]
  private var others: [SimulatedLink] = []
  private var nextLink = 1

  init(_ world: World, _ swarm: Swarm) {
    self.world = world
    self.swarm = swarm
  }

  /// The event store's link.
  func accepted(_ link: SimulatedLink) { others = others.filter(\.isUp) + [link] }

  func connect(_ gateway: SimulatedGateway) -> (link: SimulatedLink, number: LinkNumber)? {
    guard isUp else { return nil }
    let link = SimulatedLink(world, swarm.linkDelay)
    let number = nextLink
    nextLink += 1
    gateways[number] = (link, gateway)
    link.onCut.append { [weak self] in
      guard let self, gateways[number]?.link === link else { return }
      gateways[number] = nil
      _ = table.remove(number)
    }
    return (link, number)
  }

  func open(_ name: ChannelName, by number: LinkNumber) -> ChannelHandle? {
    guard gateways[number] != nil else { return nil }
    return table.open(
      OpenChannel(
        remainingMs: 0, name: name, flags: [.subscribe], isDurable: true, historyCount: 0,
        historyMs: 0, subscribers: 1), by: number)
  }

  func announced(_ message: Announced) {
    guard isUp, let handle = table.handle(message.name), let index = table.index(handle) else {
      return
    }
    guard table.announce(message.position, at: index), let channel = table[index] else { return }
    for number in channel.subscribers {
      guard let (link, gateway) = gateways[number] else { continue }
      if swarm.gapEvery > 0, !world.isHealed, world.below(swarm.gapEvery) == 0 {
        world.note("dropped by the hub")
        world.after(world.between(100...50_000)) { link.sendBack { gateway.missed(message.name) } }
      } else {
        link.sendBack { gateway.received(message, handle) }
      }
    }
  }

  /// The process ends and another begins, which knows nothing.
  func restart() {
    world.note("hub ends")
    isUp = false
    let cut = gateways.keys.sorted().compactMap { gateways[$0]?.link } + others
    gateways = [:]
    others = []
    table = RoutingTable()
    for link in cut { link.cut() }
    world.after(world.between(1_000...500_000)) { [self] in isUp = true }
  }

  func cutOne() {
    let links = gateways.keys.sorted().compactMap { gateways[$0]?.link }
    if !links.isEmpty { world.one(of: links).cut() }
  }
}
