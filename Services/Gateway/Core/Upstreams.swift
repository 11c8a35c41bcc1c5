internal import Bytes
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// This loop's own links to the hub, the event store and presence.
///
/// Knows which frames come from whom and hands them on; keeps no state of channels.
final class Upstreams {
  struct Addresses: Sendable {
    var hub: SocketAddress
    var eventstore: SocketAddress
    var presence: SocketAddress
  }

  private let hubDialer: LinkDialer
  private let eventstoreDialer: LinkDialer
  private let presenceDialer: LinkDialer

  init(_ addresses: Addresses, identity: LinkIdentity, gateway: GatewayLoop) {
    func dialer(_ role: Role, _ address: SocketAddress) -> LinkDialer {
      LinkDialer(
        to: address, expecting: role, identity: identity, on: gateway.loop,
        owner: UpstreamOwner(role, gateway))
    }
    hubDialer = dialer(.hub, addresses.hub)
    eventstoreDialer = dialer(.eventstore, addresses.eventstore)
    presenceDialer = dialer(.presence, addresses.presence)
  }

  private var dialers: [LinkDialer] { [hubDialer, eventstoreDialer, presenceDialer] }

  func start() { for dialer in dialers { dialer.start() } }
  func stop() { for dialer in dialers { dialer.stop() } }

  var hub: Link? { hubDialer.open }
  var eventstore: Link? { eventstoreDialer.open }
  var presence: Link? { presenceDialer.open }

  func failure(_ role: Role) -> String? {
    let dialer: LinkDialer
    switch role {
    case .hub: dialer = hubDialer
    case .eventstore: dialer = eventstoreDialer
    case .presence: dialer = presenceDialer
    default: return nil
    }
    guard dialer.open == nil else { return nil }
    return dialer.lastFailure ?? "not connected yet"
  }
}

/// Tells the gateway's loop which service a link's news is of.
private final class UpstreamOwner: LinkOwner {
  private let role: Role
  private let gateway: GatewayLoop

  init(_ role: Role, _ gateway: GatewayLoop) {
    self.role = role
    self.gateway = gateway
  }

  func linkOpened(_ link: Link) {
    switch role {
    case .hub: gateway.hubOpened(link)
    case .eventstore: gateway.storeOpened(link)
    case .presence: gateway.presenceOpened(link)
    default: break
    }
    gateway.upstreamsChanged()
  }

  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    switch header.kind {
    case .publication:
      if try !gateway.passesOver(publication: body) { gateway.received(try Publication(body: body)) }
    case .gap: gateway.received(try Gap(body: body))
    case .subscriberCount: gateway.received(try SubscriberCount(body: body))
    case .presencePage: gateway.presence.received(try PresencePage(body: body))
    case .presenceChanges: gateway.presence.received(try PresenceChanges(body: body))
    case .requestReport: gateway.presence.reportRequested()
    case .presenceRefused: gateway.presence.refused(try PresenceRefused(body: body))
    case .artifactChunk: gateway.artifacts.received(try ArtifactChunk(body: body))
    case .endArtifact: gateway.artifacts.received(try EndArtifact(body: body))
    case .artifactCredit: gateway.artifacts.received(try ArtifactCredit(body: body))
    case .relay: gateway.relayServer.received(link, header, try Relay(body: body))
    case .endRelay: gateway.relayServer.received(try EndRelay(body: body))
    case .cancelArtifact: gateway.artifacts.received(try CancelArtifact(body: body))
    default: break
    }
    return .now
  }

  func linkMissedPublications(_ link: Link) {
    if role == .hub { gateway.missedPublications() }
  }

  func linkRelieved(_ link: Link) {
    if role == .presence { gateway.presence.relieved() }
  }

  func linkUnreachable(_ address: SocketAddress, _ reason: String) {
    guard !gateway.isDraining else { return }
    gateway.linkLogger.warning(
      "no link to \(role.name); trying on",
      ["address": .text("\(address)"), "reason": .text(reason)])
  }

  func linkEnded(_ link: Link, _ end: LinkEnd) {
    if !gateway.isDraining {
      gateway.linkLogger.warning(
        "lost the link to \(role.name)", ["reason": .text(end.message)])
    }
    switch role {
    case .hub: gateway.hubLost()
    case .eventstore: gateway.artifacts.linkLost()
    case .presence: gateway.presence.linkLost()
    default: break
    }
    gateway.upstreamsChanged()
  }
}
