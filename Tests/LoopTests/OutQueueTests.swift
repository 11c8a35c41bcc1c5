import Platform
import TestKit
import Testing

@testable import Loop

/// The queue against a plain array of bytes, over a real socket with a tiny buffer.
@Suite struct OutQueueTests {
  @Test(arguments: 0..<8)
  func theQueueBehavesAsAnArrayOfBytes(round: Int) throws {
    let seed = UInt64.random(in: .min ... .max)
    var model = try Model(seed: seed)
    for step in 0..<300 {
      model.step()
      let isRight =
        model.queue.count == model.queued.count
        && model.queue.isEmpty == model.queued.isEmpty && model.isRight
      try #require(isRight, "seed \(seed) step \(step)")
    }
    model.drain()
    #expect(model.queue.isEmpty && model.isRight, "seed \(seed)")
  }

  @Test func aWriteStopsAtItsBudget() throws {
    var model = try Model(seed: 1, sendBuffer: 1 << 20)
    model.queue.append([UInt8](repeating: 1, count: 1_000))
    model.queue.append(shared: [UInt8](repeating: 2, count: 1_000), from: 0)
    guard case .blocked = model.queue.write(to: model.here, budget: 1_500) else {
      Issue.record("it wrote more than its budget")
      return
    }
    #expect(model.queue.count == 500)
  }

  @Test func writingToNobodyFails() throws {
    var model = try Model(seed: 1)
    model.there.close()
    model.queue.append([1, 2, 3])
    guard case .failed(let code) = model.queue.writeTail(to: model.here) else {
      Issue.record("it did not fail")
      return
    }
    #expect(code == 32, "EPIPE")
    #expect(model.queue.count == 3)
  }

  @Test func aSharedChunkFromItsMiddleLosesNothingBehindOthers() throws {
    var model = try Model(seed: 1)
    let chunk = (0..<2_000).map { UInt8(truncatingIfNeeded: $0) }
    model.queue.append([9])
    model.queue.append(shared: chunk, from: 700)
    model.queue.append(shared: chunk, from: 1_990)
    model.queued = [9] + chunk[700...] + chunk[1_990...]
    model.drain()
    #expect(model.queue.isEmpty && model.isRight)
  }

  @Test func partsOfAChunkLeaveInOrder() throws {
    var model = try Model(seed: 1)
    let chunk = (0..<9_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    for (start, end) in [(0, 600), (600, 605), (605, 4_000), (4_000, 4_000), (4_000, 9_000)] {
      model.queue.append(shared: chunk, from: start, to: end)
    }
    model.queued = chunk
    model.drain()
    #expect(model.queue.isEmpty && model.isRight)
  }

  private struct Model: ~Copyable {
    var queue = OutQueue()
    /// What the queue should hold.
    var queued: [UInt8] = []
    /// Whether the other end has got just what left the queue so far.
    var isRight = true
    var here: Descriptor
    var there: Descriptor
    private var random: SeededGenerator
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(seed: UInt64, sendBuffer: Int32 = 4_096) throws {
      random = SeededGenerator(seed: seed)
      var pair = try Sockets.pair()
      here = Descriptor(owning: -1)
      there = Descriptor(owning: -1)
      swap(&here, &pair.first)
      swap(&there, &pair.second)
      Sockets.setSendBuffer(here, bytes: sendBuffer)
    }

    mutating func step() {
      switch Int.random(in: 0..<10, using: &random) {
      case 0, 1: append(small: true)
      case 2, 3: append(small: false)
      case 4, 5: appendShared()
      case 6: write()
      case 7, 8: writeTail()
      default:
        // Rare: what a closed stream does.
        guard Int.random(in: 0..<40, using: &random) == 0 else { return }
        queue.removeAll()
        queued = []
      }
    }

    private mutating func append(small: Bool) {
      let bytes = random.bytes(Int.random(in: 0...(small ? 40 : 9_000), using: &random))
      queued += bytes
      if !queue.tailHasCapacity {
        var spare: [UInt8] = []
        spare.reserveCapacity(512)
        queue.adopt(spare: spare)
      }
      switch Int.random(in: 0..<3, using: &random) {
      case 0: queue.append(bytes)
      case 1: queue.append(bytes.span)
      default: queue.append { $0 += bytes }
      }
    }

    private mutating func appendShared() {
      let count = [0, 1, 511, 512, 513, 2_000, 12_000].randomElement(using: &random) ?? 0
      let bytes = random.bytes(count)
      let offset = Bool.random(using: &random) ? 0 : Int.random(in: 0...count, using: &random)
      queue.append(shared: bytes, from: offset)
      queued += bytes[offset...]
    }

    private mutating func write() {
      let budget = Int.random(in: 0...20_000, using: &random)
      note(queue.write(to: here, budget: budget))
    }

    private mutating func writeTail() {
      guard !queue.isEmpty else { return }
      note(queue.writeTail(to: here))
    }

    private mutating func note(_ result: OutQueue.WriteResult) {
      let sent = queued.count - queue.count
      isRight = isRight && receive() == Array(queued.prefix(sent))
      queued.removeFirst(sent)
      switch result {
      case .drained:
        #expect(queue.isEmpty)
        _ = queue.releaseTail()
      case .blocked: break
      case .failed(let code): Issue.record("errno \(code)")
      }
    }

    private mutating func receive() -> [UInt8] {
      var received: [UInt8] = []
      while case .count(let count) = Syscalls.receive(there, into: &buffer, at: 0) {
        received += buffer[..<count]
      }
      return received
    }

    mutating func drain() {
      for _ in 0..<1_000_000 where !queue.isEmpty { writeTail() }
    }
  }
}
