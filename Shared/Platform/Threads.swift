// INVARIANTS:
// - The start closure is boxed once, handed to the new thread with +1 and released there.
// - A thread is joined at most once, because joining consumes it.

internal import CLinux
internal import Glibc

/// A running thread with a name (15 bytes are kept), which is waited for by consuming it.
public struct RunningThread: ~Copyable, Sendable {
  private let handle: pthread_t

  /// Starts `body` on a thread of its own. Every signal is blocked in it.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let start = StartBox(name: String(name.prefix(15)), body: body)
    var every = sigset_t()
    var before = sigset_t()
    _ = unsafe sigfillset(&every)
    _ = unsafe pthread_sigmask(SIG_BLOCK, &every, &before)
    defer { _ = unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    var made = pthread_t()
    // SAFE BECAUSE the retained box is released by the one thread that receives it, or below.
    let opaque = unsafe Unmanaged.passRetained(start).toOpaque()
    let result = unsafe pthread_create(
      &made, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<StartBox>.fromOpaque(argument).takeRetainedValue()
        unsafe clinux_name_thread(start.name)
        start.body()
        return nil
      }, opaque)
    guard result == 0 else {
      unsafe Unmanaged<StartBox>.fromOpaque(opaque).release()
      throw SystemError(code: result, call: "pthread_create", subject: name)
    }
    handle = made
  }

  /// Waits until the thread has ended.
  public consuming func join() { _ = pthread_join(handle, nil) }

  /// Lets it run on by itself; nobody will wait for it.
  public consuming func detach() { _ = pthread_detach(handle) }

  private final class StartBox {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
}
