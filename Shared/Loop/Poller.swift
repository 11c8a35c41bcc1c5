// INVARIANTS:
// - The event array is owned here and lent to the kernel for one wait.
// - A slot is (generation << 32 | index); what the kernel returns is compared with the current
//   generation before it is believed, so an event of a closed descriptor reaches nobody.

internal import CLinux
internal import Platform

/// What a descriptor is watched for.
public struct Interest: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let read = Interest(rawValue: 1)
  public static let write = Interest(rawValue: 4)
}

/// What a descriptor is ready for.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Bytes, a new connection, or the end of the stream.
  public static let readable = Readiness(rawValue: 0x001)
  public static let writable = Readiness(rawValue: 0x004)
  /// An error or a hang-up on both sides: reading tells which.
  public static let broken = Readiness(rawValue: 0x018)
}

/// A registration with the poller: an index and the generation of its use.
public struct PollSlot: Hashable, Sendable {
  public let rawValue: UInt64
  @inlinable public init(index: Int, generation: UInt32) {
    rawValue = UInt64(generation) << 32 | UInt64(UInt32(truncatingIfNeeded: index))
  }
  @inlinable init(rawValue: UInt64) { self.rawValue = rawValue }
  @inlinable var index: Int { Int(truncatingIfNeeded: rawValue & 0xffff_ffff) }
  @inlinable var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
}

/// epoll, level-triggered (`epoll(7)`).
struct Poller: ~Copyable {
  private let descriptor: Descriptor
  private var events: [clinux_event]

  init() throws(SystemError) {
    descriptor = try Syscalls.makePoller()
    events = [clinux_event](repeating: clinux_event(), count: 512)
  }

  func add(_ target: borrowing Descriptor, _ slot: PollSlot, _ interest: Interest)
    throws(SystemError)
  {
    try control(EPOLL_CTL_ADD, target, slot, interest)
  }

  func modify(_ target: borrowing Descriptor, _ slot: PollSlot, _ interest: Interest)
    throws(SystemError)
  {
    try control(EPOLL_CTL_MOD, target, slot, interest)
  }

  func remove(_ target: borrowing Descriptor) {
    _ = clinux_epoll_control(descriptor.number, EPOLL_CTL_DEL, target.number, 0, 0)
  }

  /// Waits up to `timeoutMs` (-1: for ever) and gives how many events `event(at:)` holds.
  mutating func wait(timeoutMs: Int32) -> Int {
    let number = descriptor.number
    let count = unsafe events.withUnsafeMutableBufferPointer { buffer in
      // SAFE BECAUSE the kernel writes at most `count` events into an array of that many.
      unsafe clinux_epoll_wait(number, buffer.baseAddress, Int32(buffer.count), timeoutMs)
    }
    // Only EINTR is possible here; a turn without events is as good.
    return max(0, Int(count))
  }

  func event(at index: Int) -> (slot: PollSlot, readiness: Readiness) {
    let event = events[index]
    return (PollSlot(rawValue: event.slot), Readiness(rawValue: event.events))
  }

  private func control(
    _ operation: Int32, _ target: borrowing Descriptor, _ slot: PollSlot, _ interest: Interest
  ) throws(SystemError) {
    let result = clinux_epoll_control(
      descriptor.number, operation, target.number, interest.rawValue, slot.rawValue)
    guard result == 0 else { throw SystemError(code: -result, call: "epoll_ctl") }
  }
}
