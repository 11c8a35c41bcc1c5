// INVARIANTS:
// - The eventfd lives as long as the object, which threads share; nobody else has its number.
// - It is blocking: only a thread that may sleep waits on it.

internal import CLinux
internal import Glibc

/// Lets one thread sleep until another wakes it (a blocking eventfd). Signals are counted: one
/// that comes first is not lost.
public final class WakeSignal: Sendable {
  private let descriptor: Descriptor

  public init() throws(SystemError) {
    let number = eventfd(0, Int32(EFD_CLOEXEC))
    guard number >= 0 else { throw SystemError(code: errno, call: "eventfd") }
    descriptor = Descriptor(owning: number)
  }

  public func signal() { Syscalls.signal(event: descriptor) }

  /// Sleeps until there was at least one signal since the last wait.
  public func wait() {
    var count: eventfd_t = 0
    // SAFE BECAUSE the kernel fills the one integer that is lent to it.
    while unsafe eventfd_read(descriptor.number, &count) != 0 && errno == EINTR {}
  }
}
