internal import Observe
internal import Platform
internal import Synchronization

/// Log lines to standard error through a thread of its own, so that a full pipe or disk never
/// holds up a loop: beyond the bound lines are dropped, and the next one says how many.
final class StderrSink: LogSink {
  private struct State {
    var lines: [[UInt8]] = []
    var bytes = 0
    var dropped = 0
  }
  private let state = Mutex(State())
  private let wake: WakeSignal

  /// Bytes that may wait; then lines are dropped.
  static let bytesMax = 1024 * 1024

  init() throws {
    wake = try WakeSignal()
    let thread = try RunningThread(name: "log") { [self] in self.drain() }
    thread.detach()
  }

  func write(_ line: [UInt8]) {
    let isFirst = state.withLock { state -> Bool in
      guard state.bytes + line.count <= Self.bytesMax else {
        state.dropped += 1
        return false
      }
      state.lines.append(line)
      state.bytes += line.count
      return state.lines.count == 1
    }
    if isFirst { wake.signal() }
  }

  private func drain() {
    while true {
      wake.wait()
      let (lines, dropped) = state.withLock { state in
        let taken = (state.lines, state.dropped)
        state = State()
        return taken
      }
      if dropped > 0 {
        Output.standardError("(\(dropped) log lines were dropped: standard error was not read)\n")
      }
      for line in lines { Output.standardError(line) }
    }
  }
}
