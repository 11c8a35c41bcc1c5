import JSON
import Loop
import Platform
import TestKit
import WebSocketCodec

/// A client that publishes, one at a time in each channel, and knows what was acknowledged.
///
/// In a durable channel what is not acknowledged is sent again under the same key; in others it is
/// given up, and the next one sent.
final class Producer {
  struct Ack {
    var mark: Mark
    var epoch: String?
    var offset: UInt64?
  }

  private struct Lane {
    var number = 0
    var isWaiting = false
    var sentAt = Instant(nanoseconds: 0)
  }

  let id: Int
  private(set) var acks: [String: [Ack]] = [:]
  private(set) var problems: [String] = []
  /// The longest wait for an acknowledgement.
  private(set) var longestWait = Duration.zero
  private let loop: TestLoop
  private let cluster: ServiceCluster
  private let every: Duration
  private var lanes: [String: Lane] = [:]
  private var socket: TestSocket?
  private var isStopping = false
  private var isEnded = false

  init(
    _ id: Int, _ loop: TestLoop, _ cluster: ServiceCluster, _ channels: [String],
    every: Duration = .milliseconds(25)
  ) {
    self.id = id
    self.loop = loop
    self.cluster = cluster
    self.every = every
    for channel in channels { lanes[channel] = Lane() }
    connect()
  }

  /// Publishes nothing new; what waits in durable channels is still brought home.
  func finish() { isStopping = true }

  var isFinished: Bool {
    !lanes.contains { $0.value.isWaiting && Channels.keeping($0.key) == .durable }
  }

  func stop() {
    isEnded = true
    socket?.vanish()
  }

  /// What was published and acknowledged.
  func marks(_ channel: String) -> Set<Mark> { Set((acks[channel] ?? []).map(\.mark)) }

  private func connect() {
    guard !isEnded else { return }
    guard let address = try? cluster.gateway() else { return again() }
    let socket = TestSocket(loop, address, "/ws")
    socket.received = { [weak self] _, bytes in self?.received(bytes) }
    socket.ended = { [weak self] _ in self?.again() }
    self.socket = socket
  }

  private func again() {
    for channel in lanes.keys where Channels.keeping(channel) != .durable {
      lanes[channel]?.isWaiting = false
    }
    guard !isEnded else { return }
    loop.loop.after(.milliseconds(50)) { [weak self] in self?.connect() }
  }

  private func begin() {
    for channel in lanes.keys.sorted() {
      if lanes[channel]?.isWaiting == true { send(channel) } else { next(channel) }
    }
  }

  private func next(_ channel: String) {
    guard !isStopping, !isEnded else { return }
    lanes[channel]?.number += 1
    lanes[channel]?.isWaiting = true
    lanes[channel]?.sentAt = SystemClock.monotonic()
    send(channel)
  }

  private func send(_ channel: String) {
    guard let lane = lanes[channel], let socket, socket.isOpen else { return }
    let key =
      Channels.keeping(channel) == .durable
      ? #","idempotency_key":"\#(id)-\#(channel)-\#(lane.number)""# : ""
    socket.send(
      #"{"id":"\#(channel)#\#(lane.number)","channel":"\#(channel)","data":{"p":\#(id),"n":\#(lane.number)}\#(key)}"#
    )
  }

  private func received(_ bytes: [UInt8]) {
    guard let message = try? JSONValue.parse(bytes.span), let type = message["type"]?.string else {
      return
    }
    switch type {
    case "connection": begin()
    case "ack", "error":
      guard let id = message["id"]?.string, let divide = id.lastIndex(of: "#"),
        let number = Int(id[id.index(after: divide)...])
      else { return problems.append("producer \(self.id): an answer to nothing: \(type)") }
      answered(String(id[..<divide]), number, message, isAck: type == "ack")
    default: break
    }
  }

  private func answered(_ channel: String, _ number: Int, _ message: JSONValue, isAck: Bool) {
    guard lanes[channel]?.number == number, lanes[channel]?.isWaiting == true else { return }
    if isAck {
      let ack = Ack(
        mark: Mark(producer: id, number: number), epoch: message["epoch"]?.string,
        offset: message["offset"]?.int.map { UInt64($0) })
      acks[channel, default: []].append(ack)
      if let sentAt = lanes[channel]?.sentAt {
        longestWait = max(longestWait, SystemClock.monotonic().since(sentAt))
      }
      lanes[channel]?.isWaiting = false
      loop.loop.after(every) { [weak self] in self?.next(channel) }
      return
    }
    // 152 unavailable, 153 overloaded, 159 outcome unknown: the ones to try again.
    let code = message["code"]?.int ?? 0
    if ![152, 153, 159].contains(code) {
      problems.append("producer \(id): \(channel) \(code) \(message["message"]?.string ?? "")")
    }
    loop.loop.after(.milliseconds(50)) { [weak self] in
      guard let self, lanes[channel]?.number == number, lanes[channel]?.isWaiting == true else {
        return
      }
      if Channels.keeping(channel) == .durable { return send(channel) }
      lanes[channel]?.isWaiting = false
      next(channel)
    }
  }
}
