import Bytes
import ChannelKit
import Platform
import TestKit
import Testing

@testable import GatewayCore

/// The lanes of one client: what leaves, and in which order, as pure values.
@Suite struct LaneTests {
  private func parcel(
    _ text: String, count: Int = 1, size: Int? = nil, key: String? = nil
  ) -> Parcel {
    var bytes = [UInt8](text.utf8)
    if let size { bytes += [UInt8](repeating: 0x20, count: max(0, size - bytes.count)) }
    return Parcel(
      bytes: bytes, start: 0, end: bytes.count, count: count, key: key.map { MergeKey($0.utf8) },
      since: Instant(nanoseconds: 0))
  }

  private func drain(_ lanes: inout OutboundLanes) -> [String] {
    var out: [String] = []
    while let next = lanes.next() {
      switch next.output {
      case .skipped(let count): out.append("gap \(count)")
      case .parcel(let parcel):
        out.append(
          text(Array(parcel.bytes[parcel.start..<parcel.end])).split(separator: " ").joined(
            separator: "+"))
      }
    }
    return out
  }

  @Test func whatIsUrgentOvertakesABacklog() {
    var lanes = OutboundLanes()
    let bulk = lanes.open(.bulk)
    let state = lanes.open(.state)
    for number in 0..<64 { _ = lanes.append(parcel("bulk\(number)", size: 16 * 1024), to: bulk) }
    _ = lanes.next()
    _ = lanes.append(parcel("now"), to: state)
    #expect(lanes.bytes > 1 << 20 - 16 * 1024)
    #expect(drain(&lanes).first == "now")
  }

  @Test func anAnswerOvertakesEverything() {
    var lanes = OutboundLanes()
    for lane in [Lane.bulk, .normal, .state, .control] {
      let flow = lanes.open(lane)
      _ = lanes.append(parcel("\(lane)"), to: flow)
    }
    #expect(drain(&lanes) == ["control", "state", "normal", "bulk"])
    #expect(lanes.isEmpty && lanes.bytes == 0 && lanes.pinnedBytes == 0)
  }

  /// The bound that `LaneSchedule` states, under a flood of what is more urgent.
  @Test(arguments: [1, 100, 5_000, 16 * 1024, 300_000])
  func noLaneStarves(bytes: Int) {
    for lane in [Lane.state, .normal, .bulk] {
      var schedule = LaneSchedule()
      var heads = [0, 0, 0, 0]
      heads[0] = 700
      heads[lane.rawValue] = bytes
      var passed = 0
      while passed < 1 << 24 {
        guard let taken = schedule.take(heads), taken != lane else { break }
        passed += 700
      }
      let bound = LaneSchedule.shares[lane.rawValue] * min(bytes, LaneSchedule.quantum) + 700
      #expect(passed <= bound, "\(lane) waited for \(passed) bytes")
    }
  }

  @Test func allLanesUnderLoadHaveTheirShares() {
    var schedule = LaneSchedule()
    var sent = [0, 0, 0, 0]
    for _ in 0..<100_000 {
      guard let lane = schedule.take([1_000, 1_000, 1_000, 1_000]) else { break }
      sent[lane.rawValue] += 1
    }
    #expect(sent[0] > sent[1] && sent[1] > sent[3], "\(sent)")
    // A fifth of what control and state have together, and so on down.
    #expect(sent[1] * 4 >= sent[0] * 9 / 10, "\(sent)")
    #expect(sent[2] * 4 >= (sent[0] + sent[1]) * 9 / 10, "\(sent)")
    #expect(sent[3] * 8 >= (sent[0] + sent[1] + sent[2]) * 9 / 10, "\(sent)")
  }

  @Test func channelsOfALaneTakeTurnsByBytes() {
    var lanes = OutboundLanes()
    let (large, small) = (lanes.open(.normal), lanes.open(.normal))
    for number in 0..<40 { _ = lanes.append(parcel("L\(number)", size: 16 * 1024), to: large) }
    for number in 0..<200 { _ = lanes.append(parcel("s\(number)", size: 4 * 1024), to: small) }
    let order = drain(&lanes).prefix(40)
    let ofSmall = order.filter { $0.hasPrefix("s") }.count
    #expect((28...34).contains(ofSmall), "four small ones to each large one: \(ofSmall)")
  }

  @Test func whoLeavesOutSaysHowManyInTheirPlace() {
    var lanes = OutboundLanes()
    let flow = lanes.open(.normal)
    for number in 0..<10 { _ = lanes.append(parcel("\(number)", size: 3_000), to: flow) }
    let left = lanes.skip(flow, 1)
    #expect(left == 5)
    #expect(lanes.skip(flow, 1) == 3)
    #expect(drain(&lanes) == ["gap 8", "8", "9"])
  }

  @Test func whatIsNoPublicationIsNeverLeftOut() {
    var lanes = OutboundLanes()
    let flow = lanes.open(.normal)
    _ = lanes.append(parcel("a", size: 5_000), to: flow)
    _ = lanes.append(parcel("answer", count: 0), to: flow)
    _ = lanes.append(parcel("b", size: 5_000), to: flow)
    #expect(lanes.skip(flow, .max) == 2)
    #expect(lanes.pinnedBytes == 6)
    #expect(drain(&lanes) == ["gap 2", "answer"])
  }

  @Test func aKeyKeepsItsPlaceAndItsLastValue() {
    var lanes = OutboundLanes()
    let flow = lanes.open(.state)
    for (key, value) in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2)] {
      _ = lanes.append(parcel("\(key)\(value)", key: key), to: flow)
    }
    #expect(lanes.merge(flow) == 2)
    #expect(lanes.append(parcel("a3", key: "a"), to: flow) == 1)
    #expect(lanes.append(parcel("d1", key: "d"), to: flow) == 0)
    #expect(drain(&lanes) == ["a3", "b2", "c1", "d1"])
    // The flow is empty: what comes next is not merged any more.
    #expect(!lanes.isMerging(flow))
  }

  @Test func smallPublicationsAreGatheredWithTheirMarks() throws {
    var lanes = OutboundLanes()
    let flow = lanes.open(.normal)
    for number in 1...3 {
      var one = parcel("p\(number)")
      one.marks = [.init(end: 2, position: position("e", UInt64(number)))]
      _ = lanes.append(one, to: flow)
    }
    let taken = lanes.next()
    let next = try #require(taken)
    guard case .parcel(let parcel) = next.output else {
      Issue.record("no parcel")
      return
    }
    #expect(parcel.count == 3 && parcel.marks.map(\.end) == [2, 4, 6])
    #expect(text(parcel.bytes) == "p1p2p3" && lanes.isEmpty)
  }

  @Test func aChannelThatEndsTakesWhatWaitsWithIt() {
    var lanes = OutboundLanes()
    let (gone, other) = (lanes.open(.normal), lanes.open(.normal))
    for name in ["a", "b"] {
      _ = lanes.append(parcel("gone \(name)", size: 5_000), to: gone)
      _ = lanes.append(parcel("other\(name)", size: 5_000), to: other)
    }
    _ = lanes.append(parcel("told", count: 0), to: gone)
    lanes.close(gone)
    #expect(lanes.bytes == 10_000 && lanes.pinnedBytes == 0)
    let again = lanes.open(.bulk)
    #expect(again == gone && lanes.isEmpty(again))
    _ = lanes.append(parcel("anew"), to: again)
    #expect(drain(&lanes).filter { $0 != "anew" } == ["othera", "otherb"])
  }

  /// Random channels in random lanes against a plain list for each: nothing lost, nothing doubled,
  /// order kept, bytes counted.
  @Test(arguments: 0..<12)
  func lanesBehaveAsAQueueForEachChannel(round: Int) throws {
    let seed = UInt64.random(in: .min ... .max)
    var model = LaneModel(seed: seed)
    for step in 0..<2_000 {
      model.step()
      try #require(model.fault == nil, "seed \(seed) step \(step): \(model.fault ?? "")")
    }
    model.drain()
    #expect(model.fault == nil, "seed \(seed): \(model.fault ?? "")")
  }

  // MARK: the ladder

  @Test func eachStepIsTakenWhenTheOneBeforeDoesNotHelp() {
    let ladder = SlowLadder(merge: .user, last: .skip, bufferBytes: 1_000)
    func step(_ bytes: Int, _ waiting: Int, _ isMerging: Bool, _ room: Int) -> SlowLadder.Step {
      ladder.step(bytes, waiting: waiting, isMerging: isMerging, room: room)
    }
    #expect(step(100, 900, false, 5_000) == .buffer)
    #expect(step(101, 900, false, 5_000) == .merge)
    #expect(step(101, 900, true, 5_000) == .buffer, "merged, the client's queue is the bound")
    #expect(step(101, 900, true, 100) == .skip)
    #expect(step(101, 0, false, 100) == .merge)
    #expect(step(2_000, 0, false, 5_000) == .buffer, "one that is larger than the buffer waits alone")
  }

  @Test func kindsOfChannelsHaveTheirOwnLadders() {
    var policy = ChannelPolicy()
    #expect(SlowLadder(policy, merges: false) == SlowLadder(last: .skip))
    #expect(SlowLadder(policy, merges: true).merge == .type)
    policy.history = .durable
    #expect(SlowLadder(policy, merges: false) == SlowLadder(last: .park))
    policy.history = .memory
    #expect(SlowLadder(policy, merges: false).last == .park)
    policy = ChannelPolicy()
    policy.slow = SlowLadder(merge: .type, last: .disconnect)
    #expect(SlowLadder(policy, merges: false).merge == .publisher)
  }

  // MARK: where messages end

  @Test func endsOfMessagesAreFoundInWhatManyShare() {
    let big = String(repeating: "x", count: 70_000)
    for encoding in [Encoding.raw, .envelope, .event, .rawEvent] {
      var bytes: [UInt8] = []
      var ends: [Int] = []
      for text in ["a", "", "line\n\nbreak\r\n", String(big.prefix(300)), big, "{}"] {
        encoding.append(
          Payload(text: text), position: position("e", 1), timeMs: 1, prefix: Encoding.prefix(channel("c")),
          to: &bytes)
        ends.append(bytes.count)
      }
      #expect(encoding.ends(bytes.span) == ends, "\(encoding)")
    }
  }
}

/// Lanes beside a list for each channel.
private struct LaneModel {
  var lanes = OutboundLanes()
  var fault: String?
  private var random: SeededGenerator
  private var channels: [Channel] = []
  private var number = 0

  private struct Channel {
    let flow: OutboundLanes.Flow
    let lane: Lane
    /// Numbers that wait, and how many before them were left out and not told yet.
    var waiting: [(number: Int, isPinned: Bool)] = []
    var leftOut = 0
  }

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    for _ in 0..<9 {
      let lane = Lane.allCases[Int.random(in: 0..<4, using: &random)]
      channels.append(Channel(flow: lanes.open(lane), lane: lane))
    }
  }

  mutating func step() {
    let index = channels.indices.randomElement(using: &random) ?? 0
    switch Int.random(in: 0..<21, using: &random) {
    case 0..<10: add(to: index)
    case 10..<17: takeNext()
    case 17: skip(index)
    case 18: takeBack(index)
    case 19: pin(index)
    default: reopen(index)
    }
    check()
  }

  mutating func drain() {
    while !lanes.isEmpty, fault == nil { takeNext() }
    if lanes.bytes != 0 || channels.contains(where: { !$0.waiting.isEmpty || $0.leftOut > 0 }) {
      fault = "something is left"
    }
  }

  private mutating func add(to index: Int) {
    number += 1
    let isPinned = Int.random(in: 0..<8, using: &random) == 0
    let size = [9, 200, 5_000, 40_000].randomElement(using: &random) ?? 9
    var bytes = [UInt8]("\(number);".utf8)
    bytes += [UInt8](repeating: 0x20, count: max(0, size - bytes.count))
    _ = lanes.append(
      Parcel(
        bytes: bytes, start: 0, end: bytes.count, count: isPinned ? 0 : 1,
        first: number % 3 == 0 ? nil : position("e", UInt64(number)),
        since: Instant(nanoseconds: 0)), to: channels[index].flow)
    channels[index].waiting.append((number, isPinned))
  }

  private mutating func takeNext() {
    guard let next = lanes.next() else {
      if !lanes.isEmpty { fault = "nothing comes" }
      return
    }
    guard let index = channels.firstIndex(where: { $0.flow == next.flow }) else {
      fault = "nobody's"
      return
    }
    if channels[index].lane != next.lane { fault = "in another lane" }
    switch next.output {
    case .skipped(let count):
      if Int(count) != channels[index].leftOut { fault = "a gap of \(count)" }
      channels[index].leftOut = 0
    case .parcel(let parcel):
      if channels[index].leftOut > 0 { fault = "the gap comes too late" }
      let bytes = Array(parcel.bytes[parcel.start..<parcel.end])
      for piece in text(bytes).split(separator: ";") {
        guard let number = Int(piece.split(separator: " ").last ?? "") else { continue }
        guard channels[index].waiting.first?.number == number else {
          fault = "\(number) out of order"
          return
        }
        channels[index].waiting.removeFirst()
      }
    }
  }

  private mutating func skip(_ index: Int) {
    let count = lanes.skip(channels[index].flow, Int.random(in: 1...20_000, using: &random))
    leaveOut(count, index)
    channels[index].leftOut += count
  }

  private mutating func takeBack(_ index: Int) {
    // Numbers divisible by three stand in no history.
    let taken = lanes.takeBack(channels[index].flow)
    let lost = channels[index].waiting.filter { !$0.isPinned && $0.number % 3 == 0 }.count
    if taken.lost != lost { fault = "\(taken.lost) lost of \(lost)" }
    leaveOut(taken.kept + taken.lost, index)
    channels[index].leftOut += taken.lost
    if channels[index].waiting.contains(where: { !$0.isPinned }) { fault = "not all came back" }
  }

  private mutating func pin(_ index: Int) {
    lanes.pin(channels[index].flow)
    for entry in channels[index].waiting.indices { channels[index].waiting[entry].isPinned = true }
    if lanes.publicationBytes(channels[index].flow) != 0 { fault = "something can be left out" }
    if lanes.firstPlace(channels[index].flow) != nil { fault = "something can be taken back" }
  }

  /// The oldest publications go.
  private mutating func leaveOut(_ count: Int, _ index: Int) {
    var left = count
    channels[index].waiting.removeAll { entry in
      guard left > 0, !entry.isPinned else { return false }
      left -= 1
      return true
    }
    if left > 0 { fault = "more left out than there were" }
  }

  private mutating func reopen(_ index: Int) {
    guard Int.random(in: 0..<10, using: &random) == 0 else { return }
    lanes.close(channels[index].flow)
    let lane = Lane.allCases.randomElement(using: &random) ?? .bulk
    channels[index] = Channel(flow: lanes.open(lane), lane: lane)
  }

  private mutating func check() {
    if lanes.bytes < lanes.pinnedBytes || lanes.bytes(upTo: .bulk) != lanes.bytes {
      fault = "\(lanes.bytes) bytes, \(lanes.bytes(upTo: .bulk)) in lanes, \(lanes.pinnedBytes) pinned"
    }
  }
}
