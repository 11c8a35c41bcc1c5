import Bytes
import JSON
import Loop
import Platform
import TestKit
import WebSocketCodec

/// How a channel of these tests keeps what is published.
enum Keeping { case durable, memory, nothing }

/// The channels of these tests: two of each way to keep.
struct Channels {
  static let configuration = """
    {
      channels: [
        { match: "log:*", history: { durable: true } },
        { match: "eph:*", history: { size: 2000, ttl: "5m" } },
        { match: "live:*" },
        { match: "*", history: { size: 100, ttl: "5m" } },
      ],
    }
    """
  static let durable = ["log:a", "log:b"]
  static let all = durable + ["eph:m", "live:x"]

  static func keeping(_ channel: String) -> Keeping {
    channel.hasPrefix("log:") ? .durable : channel.hasPrefix("eph:") ? .memory : .nothing
  }
}

/// One publication of these tests: which producer's, and its number there.
struct Mark: Hashable {
  var producer: Int
  var number: Int
}

/// A client that follows channels and comes back with its positions whenever it is cut off.
///
/// Judges what it gets as it comes: in a channel with history every offset follows the last, or
/// it has been told that some can't be had; in one without, numbers only grow. Whatever breaks
/// that is a problem, in a sentence.
final class Observer {
  struct Log {
    var epoch: String?
    var offset: UInt64 = 0
    var entries: [(offset: UInt64, mark: Mark)] = []
    /// It was said, since the last publication, that some are missing.
    var wasToldOfLoss = false
    var last: [Int: Int] = [:]
    /// Producers heard since it was last said that some are missing.
    var heard: Set<Int> = []
    /// Left out without a word so far; no loss if nobody was told that they were published.
    var skipped: [(mark: Mark, at: Instant)] = []
    /// When it was said that some are missing.
    var told: [Instant] = []
  }

  /// Word of a loss may come after what follows it (row 40): with the next heartbeat of a link, and
  /// the one after where the link that was made anew has lost a frame, too.
  private static let wordMax = Duration.seconds(5)

  let name: String
  private(set) var logs: [String: Log] = [:]
  private(set) var problems: [String] = []
  private(set) var connects = 0
  private let loop: TestLoop
  private let channels: [String]
  private let cluster: ServiceCluster
  private var socket: TestSocket?
  private var isStopped = false

  init(_ name: String, _ loop: TestLoop, _ cluster: ServiceCluster, _ channels: [String]) {
    self.name = name
    self.loop = loop
    self.cluster = cluster
    self.channels = channels
    for channel in channels { logs[channel] = Log() }
    connect()
  }

  func stop() {
    isStopped = true
    socket?.vanish()
  }

  func marks(_ channel: String) -> [Mark] { logs[channel]?.entries.map(\.mark) ?? [] }

  private func connect() {
    guard !isStopped else { return }
    guard let address = try? cluster.gateway() else { return again() }
    connects += 1
    let socket = TestSocket(loop, address, "/ws")
    socket.received = { [weak self] _, bytes in self?.received(bytes) }
    socket.ended = { [weak self] _ in self?.again() }
    self.socket = socket
    for channel in channels where Channels.keeping(channel) == .nothing {
      logs[channel]?.heard = []
    }
    hasSubscribed = false
    standing = []
  }

  private var hasSubscribed = false
  private var standing: Set<String> = []

  /// Every subscription of this connection stands: what is published from now on has to come.
  var isSubscribed: Bool { standing.count == channels.count }

  private func again() {
    guard !isStopped else { return }
    loop.loop.after(.milliseconds(50)) { [weak self] in self?.connect() }
  }

  private func subscribe() {
    for channel in channels {
      var since = ""
      if Channels.keeping(channel) != .nothing, let log = logs[channel] {
        since = #","since":"\#(log.epoch.map { "\($0):\(log.offset)" } ?? "start")""#
      }
      socket?.send(#"{"type":"subscribe","id":"\#(channel)","channel":"\#(channel)"\#(since)}"#)
    }
  }

  private func received(_ bytes: [UInt8]) {
    guard let message = try? JSONValue.parse(bytes.span) else { return problem("no JSON came") }
    guard let type = message["type"]?.string else { return receivedEnvelope(message) }
    switch type {
    case "connection":
      if !hasSubscribed {
        hasSubscribed = true
        subscribe()
      }
    case "ack": if let channel = message["id"]?.string { standing.insert(channel) }
    case "pong", "reconnect", "join", "leave", "presence": break
    case "error":
      // A subscription that could not be made: come back for it.
      socket?.vanish()
    case "gap", "unrecoverable":
      guard let channel = message["channel"]?.string else {
        return problem("\(type) of no channel")
      }
      logs[channel]?.wasToldOfLoss = true
      logs[channel]?.heard = []
      let now = SystemClock.monotonic()
      logs[channel]?.told.append(now)
      logs[channel]?.skipped.removeAll { now.since($0.at) < Self.wordMax }
      if Channels.keeping(channel) == .durable {
        problem("\(channel): \(type) \(message["reason"]?.string ?? "")")
      }
    default: problem("an unknown \(type)")
    }
  }

  private func receivedEnvelope(_ message: JSONValue) {
    guard let channel = message["channel"]?.string, let producer = message["data"]?["p"]?.int,
      let number = message["data"]?["n"]?.int
    else { return problem("an envelope without its mark") }
    let mark = Mark(producer: Int(producer), number: Int(number))
    guard var log = logs[channel] else { return problem("\(channel) was not asked for") }
    defer { logs[channel] = log }
    let offset = message["offset"]?.int.map { UInt64($0) }
    if Channels.keeping(channel) == .nothing {
      judgeNumbers(mark, channel, &log)
    } else if let offset, let epoch = message["epoch"]?.string {
      judgeOffset(epoch, offset, channel, log)
      (log.epoch, log.offset) = (epoch, offset)
    } else {
      problem("\(channel): a publication without a position")
    }
    log.wasToldOfLoss = false
    log.entries.append((offset ?? 0, mark))
  }

  private func judgeOffset(_ epoch: String, _ offset: UInt64, _ channel: String, _ log: Log) {
    if log.epoch == nil || log.epoch == epoch, offset == log.offset + 1 { return }
    if log.wasToldOfLoss, Channels.keeping(channel) == .memory,
      log.epoch != epoch || offset > log.offset
    {
      return
    }
    problem("\(channel): \(epoch):\(offset) after \(log.epoch ?? "nothing"):\(log.offset)")
  }

  private func judgeNumbers(_ mark: Mark, _ channel: String, _ log: inout Log) {
    if let last = log.last[mark.producer] {
      if mark.number <= last { problem("\(channel): \(mark) after \(last)") }
      if log.heard.contains(mark.producer), mark.number > last + 1 {
        let now = SystemClock.monotonic()
        log.skipped += ((last + 1)..<mark.number).map {
          (Mark(producer: mark.producer, number: $0), now)
        }
      }
    }
    log.last[mark.producer] = mark.number
    log.heard.insert(mark.producer)
  }

  private func problem(_ text: String) { problems.append("\(name): \(text)") }
}
