import JSON
import Loop
import Platform
import TestKit
import Testing
import WebSocketCodec

extension ServiceTests {
  /// Row 41: the seam between what is replayed and what comes live.
  struct Seam {
    /// A thousand clients for each way to keep come at positions of their own while a writer
    /// publishes 5,000 a second; each gets every offset once, in order. 10,000 with `LONG=1`.
    @Test(arguments: ["log:seam", "eph:seam"])
    func whoComesWhileAWriterRunsGetsEachOffsetOnce(channel: String) throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let scene = try SeamScene(cluster, channel)
        let began = SystemClock.monotonic()
        try scene.run(clients: ServiceTests.isLong ? 5000 : 1000, atOnce: 4)
        let seconds = SystemClock.monotonic().since(began).inSeconds
        print(
          "fig: \(channel): \(scene.finished) clients, \(scene.published) published in \(seconds) s; \(scene.random)"
        )
        #expect(scene.problems == [])
        // Slower than that the seam would hardly be met.
        #expect(ServiceTests.isSanitized || Double(scene.published) / seconds > 2000)
      }
    }
  }
}

/// One writer, one witness who follows it, and clients who come and go.
private final class SeamScene {
  private let cluster: ServiceCluster
  private let loop: TestLoop
  private let address: SocketAddress
  private let channel: String
  private let epoch: String
  private var clients: [ObjectIdentifier: TestSocket] = [:]
  private var head = 1
  private(set) var published = 1
  private(set) var finished = 0
  private(set) var problems: [String] = []
  private(set) var random = SeededGenerator()

  init(_ cluster: ServiceCluster, _ channel: String) throws {
    self.cluster = cluster
    self.channel = channel
    loop = try TestLoop()
    address = try cluster.gateway()
    let answer = try loop.http(
      address, "POST", "/api/publish", fields: ["X-API-Key: \(cluster.options.key ?? "")"],
      body: #"{"channel":"\#(channel)","data":1}"#)
    guard let epoch = try JSONValue.parse(answer.body.span)["result"]?["epoch"]?.string else {
      throw ClusterFailure("no epoch: \(answer.text)")
    }
    self.epoch = epoch
  }

  func run(clients count: Int, atOnce: Int) throws {
    let writer = try loop.socket(address, "/ws/\(channel)")
    writer.received = { _, _ in }
    let witness = try loop.socket(address, "/ws/\(channel)?since=\(epoch):1")
    follow(witness, "the witness", from: 1) { [self] number in
      head = number
      return false
    }
    let began = SystemClock.monotonic()
    var started = 0
    while finished < count, problems.isEmpty {
      // As many as are due by now, in one write.
      let due = Int(SystemClock.monotonic().since(began).inSeconds * 5000)
      // What a slow machine has not taken waits here: a history of 2,000 has to be long enough.
      while published < min(due, head + 500) {
        published += 1
        writer.send("\(published)")
      }
      while clients.count < atOnce, started < count {
        started += 1
        comeIn(started)
      }
      loop.loop.turn(waiting: .milliseconds(1))
      guard SystemClock.monotonic().since(began) < .seconds(120) else {
        throw ClusterFailure("\(finished) of \(count) finished, head \(head)")
      }
    }
    writer.received = nil
    try loop.wait("the witness at the head", state: { "\(self.head) of \(self.published)" }) {
      head == published || !problems.isEmpty
    }
  }

  /// A client at one of the last offsets, often the very last, which its loop may not have seen yet;
  /// it stays until it has had some that were not there.
  private func comeIn(_ number: Int) {
    let back = Bool.random(using: &random) ? 0 : Int.random(in: 0...120, using: &random)
    let from = max(1, head - back)
    let socket = TestSocket(loop, address, "/ws/\(channel)?since=\(epoch):\(from)")
    let until = head + Int.random(in: 1...60, using: &random)
    clients[ObjectIdentifier(socket)] = socket
    follow(socket, "client \(number) from \(from)", from: from) { [weak self, weak socket] last in
      guard let self, let socket, last >= until else { return false }
      finished += 1
      clients[ObjectIdentifier(socket)] = nil
      socket.vanish()
      return true
    }
  }

  private func follow(
    _ socket: TestSocket, _ name: String, from: Int, _ got: @escaping (Int) -> Bool
  ) {
    var last = from
    var isDone = false
    socket.received = { [weak self] _, bytes in
      guard !isDone else { return }
      let text = String(decoding: bytes, as: UTF8.self)
      if Int(text) != last + 1 { self?.problems.append("\(name): \(text) after \(last)") }
      last += 1
      isDone = got(last)
    }
    socket.ended = { [weak self] end in
      if !isDone { self?.problems.append("\(name) ended as \(end) at \(last)") }
    }
  }
}
