import JSON
import Platform
import TestKit
import Testing

extension ServiceTests {
  /// P11 and P12 as clients of two gateways see them: who is there, how soon, and without flapping
  /// (row 42).
  struct Presence {
    /// Services, a gateway beside the first, and a watcher at each.
    private func room(
      _ body: (PresenceScene, ExtraGateway) throws -> Void
    ) throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let other = try cluster.addGateway()
        try body(PresenceScene(cluster, other), other)
      }
    }

    @Test func whoComesAndGoesIsSeenEverywhereWithinTheBound() throws {
      try room { scene, _ in
        var waits: [Duration] = []
        for number in 0..<20 {
          let client = try scene.enter(at: number % 2)
          waits.append(
            try scene.waitUntilSeen(within: .seconds(2)) { $0.members.contains(client.id) })
          client.socket.sendClose(1000)
          waits.append(
            try scene.waitUntilSeen(within: .seconds(2)) { !$0.members.contains(client.id) })
        }
        let sorted = waits.sorted()
        print(
          "fig: joins and leaves seen after \(sorted[sorted.count / 2]), at most \(sorted[sorted.count - 1])"
        )
        // P11 says 250 ms for 99 of 100, on a machine that has nothing else to do.
        #expect(sorted[sorted.count * 9 / 10] < .milliseconds(250))
      }
    }

    /// A killed gateway: those who come back to another within the grace never left, the others have
    /// left within six seconds, and both watchers agree.
    @Test func ofAKilledGatewayOnlyThoseLeaveWhoDoNotComeBack() throws {
      try room { scene, other in
        let staying = try scene.enter(at: 0)
        let clients = try (0..<6).map { _ in try scene.enter(at: 1) }
        _ = try scene.waitUntilSeen(within: .seconds(2)) {
          $0.members.count == 7 + scene.watchers.count
        }
        other.send(.kill)
        let killed = SystemClock.monotonic()
        try scene.loop.wait("their ends") { clients.allSatisfy { $0.socket.end != nil } }
        let resumed = try clients.prefix(3).map { try scene.enter(at: 0, session: $0.session) }
        let log = scene.watchers[0].log.count
        // The second watcher was at the killed gateway: it has gone as well.
        let gone = Set(clients.dropFirst(3).map(\.id) + [scene.watchers[1].id])
        try scene.loop.wait(
          "the leaves", within: .milliseconds(6500), state: { "\(scene.watchers[0].log)" }
        ) {
          scene.watchers[0].members.isDisjoint(with: gone)
        }
        let took = SystemClock.monotonic().since(killed)
        print("fig: members of a killed gateway left after \(took)")
        #expect(took > .seconds(4), "they have five seconds to come back")
        // Whatever else were to happen would have by now.
        scene.loop.run(for: .milliseconds(700))
        let news = scene.watchers[0].log.dropFirst(log)
        #expect(news.allSatisfy { $0.kind == "leave" && gone.contains($0.client) }, "\(news)")
        #expect(news.count == gone.count)
        #expect(scene.watchers[0].members.contains(staying.id))
        #expect(scene.watchers[0].members.count == 2 + resumed.count)
      }
    }

    /// One session with connections at both gateways is one member, who leaves with the last.
    @Test func aMemberLeavesWithTheLastOfHisConnections() throws {
      try room { scene, _ in
        let first = try scene.enter(at: 0)
        _ = try scene.waitUntilSeen(within: .seconds(2)) { $0.members.contains(first.id) }
        let more = try [1, 1, 0].map { try scene.enter(at: $0, session: first.session) }
        // Somebody else, who makes visible that what came before him has been dealt with.
        let marker = try scene.enter(at: 1)
        _ = try scene.waitUntilSeen(within: .seconds(2)) { $0.members.contains(marker.id) }
        let all = [first] + more
        for watcher in scene.watchers { #expect(watcher.members.count == 2 + scene.watchers.count) }
        let before = scene.watchers.map(\.log.count)
        for client in all.dropLast() { client.socket.sendClose(1000) }
        marker.socket.sendClose(1000)
        _ = try scene.waitUntilSeen(within: .seconds(2)) { !$0.members.contains(marker.id) }
        for (watcher, count) in zip(scene.watchers, before) {
          #expect(watcher.log.dropFirst(count).map(\.client) == [marker.id])
        }
        all.last?.socket.sendClose(1000)
        _ = try scene.waitUntilSeen(within: .seconds(2)) {
          $0.members.count == scene.watchers.count
        }
        for (watcher, count) in zip(scene.watchers, before) {
          #expect(watcher.log.dropFirst(count).map(\.client) == [marker.id, first.id])
        }
      }
    }

    /// A gateway that stands still, as its host would: lease of ten seconds and a sweep of one.
    @Test(.enabled(if: ServiceTests.isLong))
    func ofAFrozenGatewayEveryoneHasLeftWithinElevenSeconds() throws {
      try room { scene, other in
        let clients = try (0..<3).map { _ in try scene.enter(at: 1) }
        _ = try scene.waitUntilSeen(within: .seconds(2)) {
          $0.members.isSuperset(of: clients.map(\.id))
        }
        other.send(.pause)
        try scene.loop.wait("the leaves", within: .milliseconds(11_500)) {
          scene.watchers[0].members.isDisjoint(with: clients.map(\.id))
        }
        other.send(.resume)
        // It is told that its time is over, and reports them again.
        _ = try scene.waitUntilSeen(within: .seconds(8)) {
          $0.members.isSuperset(of: clients.map(\.id))
        }
      }
    }
  }
}

/// A client in the room: what others know it by, and what it may come back with.
private struct Member {
  let socket: TestSocket
  let id: String
  let session: String
}

/// Folds what one client is told of a room's members.
private final class Watcher {
  private(set) var members: Set<String> = []
  private(set) var log: [(kind: String, client: String)] = []
  private(set) var id = ""
  private(set) var isReady = false
  private let socket: TestSocket

  init(_ loop: TestLoop, _ address: SocketAddress) {
    socket = TestSocket(loop, address, "/ws?channel=room&presence=1")
    socket.received = { [weak self] _, bytes in
      if let message = try? JSONValue.parse(bytes.span) { self?.received(message) }
    }
  }

  private func received(_ message: JSONValue) {
    guard let kind = message["type"]?.string else { return }
    let client = message["client"]?.string ?? ""
    switch kind {
    case "connection": id = client
    case "presence":
      members = Set((message["members"]?.array ?? []).compactMap { $0["client"]?.string })
      isReady = true
    case "join":
      if !members.insert(client).inserted { log.append(("join twice", client)) }
      log.append((kind, client))
    case "leave":
      members.remove(client)
      log.append((kind, client))
    default: break
    }
  }
}

private final class PresenceScene {
  let loop: TestLoop
  private(set) var watchers: [Watcher] = []
  private let addresses: [SocketAddress]

  init(_ cluster: ServiceCluster, _ other: ExtraGateway) throws {
    loop = try TestLoop()
    addresses = [try cluster.gateway(), try other.address()]
    for address in addresses {
      let watcher = Watcher(loop, address)
      watchers.append(watcher)
      try loop.wait("a watcher") { watcher.isReady }
    }
    _ = try waitUntilSeen(within: .seconds(2)) { $0.members.count == 2 }
  }

  func enter(at gateway: Int, session: String? = nil) throws -> Member {
    let query = session.map { "&session=\($0)" } ?? ""
    let socket = try loop.socket(addresses[gateway], "/ws?channel=room\(query)")
    try loop.wait("the welcome") { !socket.messages.isEmpty }
    let bytes = socket.takeMessages().first?.bytes ?? []
    let welcome = try JSONValue.parse(bytes.span)
    guard let id = welcome["client"]?.string, let token = welcome["session"]?.string else {
      throw ClusterFailure("the welcome names no client and session")
    }
    return Member(socket: socket, id: id, session: token)
  }

  /// How long it took until it holds for every watcher.
  func waitUntilSeen(within limit: Duration, _ holds: (Watcher) -> Bool) throws -> Duration {
    let began = SystemClock.monotonic()
    try loop.wait(
      "a change of members everywhere", within: limit,
      state: { "\(self.watchers.map { ($0.members, $0.log) })" }
    ) { watchers.allSatisfy(holds) }
    return SystemClock.monotonic().since(began)
  }
}
