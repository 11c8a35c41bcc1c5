import Bytes
import Link
import Loop
import Platform
import TestKit
import Testing
import Wire

/// Contract tests run one service by path and speak to it as another service would: the same
/// tests hold an older and a newer build to the same promises (`SAPPHIRE_BUILD_HUB=…`).
@Suite(.serialized) struct Contracts {}

/// One link to a service, in a role, with everything that came over it.
final class Guest: LinkOwner {
  let loop: TestLoop
  private let address: SocketAddress
  private var dialer: LinkDialer?
  private(set) var opened = 0
  private(set) var ends: [LinkEnd] = []
  private(set) var publications: [Publication] = []
  private(set) var gaps: [Gap] = []
  private(set) var counts: [SubscriberCount] = []
  private(set) var chunks: [ArtifactChunk] = []
  private(set) var endedTransfers: [UInt32] = []
  private(set) var transferCredit = 0
  private(set) var cancelled: [CancelArtifact] = []
  private(set) var pages: [PresencePage] = []
  private(set) var changes: [MemberChange] = []
  private(set) var reportsAsked = 0
  private(set) var refused: [PresenceRefused] = []
  private(set) var relays: [(header: FrameHeader, relay: Relay)] = []
  private(set) var endedRelays: [EndRelay] = []
  /// Taken frames are granted again at once; later for tests of a slow reader.
  var consumption = Consumption.now
  private(set) var held: [FrameHeader] = []
  let instance: UInt64

  init(
    _ loop: TestLoop, _ cluster: ServiceCluster, _ service: ServiceKind, as role: Role = .gateway,
    instance: UInt64 = .random(in: 1...(.max)), incarnation: UInt64 = 1
  ) throws {
    self.loop = loop
    self.instance = instance
    address = cluster.link(to: service)
    let identity = LinkIdentity(
      role: role, instance: instance, incarnation: incarnation, software: "contract", key: nil)
    let expected: Role =
      [.hub: .hub, .eventstore: .eventstore, .presence: .presence][service] ?? .hub
    let dialer = LinkDialer(
      to: address, expecting: expected, identity: identity, on: loop.loop, owner: self)
    self.dialer = dialer
    dialer.start()
  }

  var lastFailure: String? { dialer?.lastFailure }
  var isOpen: Bool { dialer?.open != nil }

  @discardableResult
  func connected() throws -> Guest {
    try loop.wait("a link to \(address)", state: { lastFailure ?? "" }) { isOpen }
    return self
  }

  var link: Link {
    get throws {
      guard let link = dialer?.open else { throw ClusterFailure("no link: \(lastFailure ?? "")") }
      return link
    }
  }

  /// Asks and waits for the answer.
  ///
  /// - Errors: the service's `Failure`.
  func ask<M: WireMessage, R: WireMessage>(
    _ message: M, _ reply: R.Type, within limit: Duration = .seconds(5)
  ) throws -> R {
    let answer = try asking(message, reply, within: limit)
    try loop.wait("an answer to \(M.kind)", within: limit + .seconds(1)) { answer.result != nil }
    guard let result = answer.result else { throw ClusterFailure("no answer to \(M.kind)") }
    return try result.get()
  }

  final class Answer<R> { var result: Result<R, Failure>? }

  func asking<M: WireMessage, R: WireMessage>(
    _ message: M, _ reply: R.Type, within limit: Duration = .seconds(5)
  ) throws -> Answer<R> {
    let answer = Answer<R>()
    try link.request(message, expecting: reply, within: limit) { answer.result = $0 }
    return answer
  }

  /// The code that an ask is refused with; nil if it is not.
  func refusal<M: WireMessage, R: WireMessage>(_ message: M, _ reply: R.Type) throws -> ErrorCode? {
    do {
      _ = try ask(message, reply)
      return nil
    } catch let failure as Failure { return failure.code }
  }

  func releaseAll() throws {
    for header in held { try link.release(header) }
    held = []
  }

  func stop() { dialer?.stop() }

  // MARK: link

  func linkOpened(_ link: Link) { opened += 1 }

  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    switch header.kind {
    case .publication: publications.append(try Publication(body: body))
    case .gap: gaps.append(try Gap(body: body))
    case .subscriberCount: counts.append(try SubscriberCount(body: body))
    case .artifactChunk: chunks.append(try ArtifactChunk(body: body))
    case .endArtifact: endedTransfers.append(try EndArtifact(body: body).transfer)
    case .artifactCredit: transferCredit += Int(try ArtifactCredit(body: body).bytes)
    case .cancelArtifact: cancelled.append(try CancelArtifact(body: body))
    case .presencePage: pages.append(try PresencePage(body: body))
    case .presenceChanges: changes += try PresenceChanges(body: body).changes
    case .requestReport: reportsAsked += 1
    case .relay: relays.append((header, try Relay(body: body)))
    case .endRelay: endedRelays.append(try EndRelay(body: body))
    case .presenceRefused: refused.append(try PresenceRefused(body: body))
    default: break
    }
    if consumption == .later { held.append(header) }
    return consumption
  }

  func linkMissedPublications(_ link: Link) {}
  func linkRelieved(_ link: Link) {}
  func linkEnded(_ link: Link, _ end: LinkEnd) { ends.append(end) }
}

func channel(_ text: String) -> ChannelName {
  guard let name = ChannelName(text) else { preconditionFailure("\(text) is no channel") }
  return name
}

extension Payload {
  var text: String { String(decoding: bytes, as: UTF8.self) }
}
