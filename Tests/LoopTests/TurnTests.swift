import Loop
import Platform
import Testing

@Suite struct TurnTests {
  private final class Probe: LoopHandler, Flushable {
    var isReady: (Readiness) -> Void = { _ in }
    var isFlushed: () -> Void = {}
    func ready(_ readiness: Readiness) { isReady(readiness) }
    func flush() { isFlushed() }
  }

  @Test func aTurnDispatchesThenRunsTimersThenTurnEndThenFlushes() throws {
    let loop = try EventLoop()
    let event = try Syscalls.makeEventDescriptor()
    let probe = Probe()
    var order: [String] = []
    probe.isFlushed = { order.append("flush") }
    probe.isReady = { _ in
      order.append("dispatch")
      loop.markDirty(probe)
      loop.atTurnEnd { order.append("turn end") }
      loop.at(loop.now) { order.append("timer") }
    }
    let slot = try loop.add(probe, event, .read)
    Syscalls.signal(event: event)
    loop.turn(waiting: .seconds(5))
    #expect(order == ["dispatch", "timer", "turn end", "flush"])
    loop.remove(slot, event)
  }

  @Test func whatFlushingAddsRunsInTheSameTurn() throws {
    let loop = try EventLoop()
    let probe = Probe()
    var order: [String] = []
    probe.isFlushed = {
      order.append("flush")
      if order.count < 4 { loop.atTurnEnd { loop.markDirty(probe) } }
    }
    loop.markDirty(probe)
    loop.turn(waiting: .zero)
    #expect(order == ["flush", "flush", "flush", "flush"])
  }

  @Test func workFromBeforeTheFirstTurnIsNotSleptOn() throws {
    let loop = try EventLoop()
    let start = SystemClock.monotonic()
    loop.atTurnEnd {}
    loop.turn(waiting: .seconds(5))
    let probe = Probe()
    loop.markDirty(probe)
    loop.turn(waiting: .seconds(5))
    #expect(SystemClock.monotonic().since(start) < .seconds(5))
  }

  @Test func aRetiredObjectLivesUntilTheTurnIsOver() throws {
    let loop = try EventLoop()
    weak var seen: Probe?
    var isAliveAtEnd = false
    loop.at(loop.now) {
      let object = Probe()
      seen = object
      loop.retire(object)
      loop.atTurnEnd { isAliveAtEnd = seen != nil }
    }
    loop.turn(waiting: .zero)
    #expect(isAliveAtEnd)
    #expect(seen == nil)
  }

  @Test func stoppingEndsTheRunAfterTheTurn() throws {
    let loop = try EventLoop()
    var order: [String] = []
    loop.after(.zero) {
      loop.stop()
      order.append("stopped")
      loop.atTurnEnd { order.append("turn end") }
    }
    loop.run()
    #expect(order == ["stopped", "turn end"])
  }

  @Test func anEventOfAClosedDescriptorReachesNobody() throws {
    // Both are ready in one wait; whichever comes first closes the other and puts a new
    // descriptor in its place, in the same slot and as a rule under the same number.
    let loop = try EventLoop()
    var events = [
      Held(try Syscalls.makeEventDescriptor()), Held(try Syscalls.makeEventDescriptor()),
    ]
    var slots: [PollSlot] = []
    var dispatched = 0
    var stale = 0
    let fresh = Probe()
    fresh.isReady = { _ in stale += 1 }
    for index in 0..<2 {
      let probe = Probe()
      probe.isReady = { _ in
        dispatched += 1
        let other = 1 - index
        loop.remove(slots[other], events[other].descriptor)
        events[other] = Held(Descriptor(owning: -1))
        guard let replacement = try? Held(Syscalls.makeEventDescriptor()),
          let slot = try? loop.add(fresh, replacement.descriptor, .read)
        else { return }
        #expect(slot != slots[other])
        events[other] = replacement
      }
      slots.append(try loop.add(probe, events[index].descriptor, .read))
      Syscalls.signal(event: events[index].descriptor)
    }
    loop.turn(waiting: .seconds(5))
    #expect(dispatched == 1)
    #expect(stale == 0)
    settle(loop)
    #expect(stale == 0)
  }

  @Test func aSlotThatWasRemovedCanNoLongerBeUsed() throws {
    let loop = try EventLoop()
    let event = try Syscalls.makeEventDescriptor()
    let (old, new) = (Probe(), Probe())
    var seen = 0
    new.isReady = { _ in seen += 1 }
    let slot = try loop.add(old, event, .read)
    loop.remove(slot, event)
    let again = try loop.add(new, event, .read)
    loop.remove(slot, event)
    loop.modify(slot, event, [])
    Syscalls.signal(event: event)
    loop.turn(waiting: .seconds(5))
    #expect(seen == 1)
    loop.remove(again, event)
  }

  @Test func theSameDescriptorTwiceIsRefusedAndLeavesTheFirst() throws {
    let loop = try EventLoop()
    let event = try Syscalls.makeEventDescriptor()
    let probe = Probe()
    var seen = 0
    probe.isReady = { _ in
      seen += 1
      Syscalls.clear(event: event)
    }
    _ = try loop.add(probe, event, .read)
    #expect(throws: SystemError.self) { _ = try loop.add(Probe(), event, .read) }
    Syscalls.signal(event: event)
    loop.turn(waiting: .seconds(5))
    #expect(seen == 1)
  }

  private final class Held {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
  }
}
