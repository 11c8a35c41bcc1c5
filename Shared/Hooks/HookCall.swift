internal import Loop
internal import Platform

/// A request on its way: waiting, on a connection, or waiting to be tried again.
///
///     waiting ──▶ connecting ──▶ sent ──▶ over
///        ▲            │           │
///        └─ not tried often enough┘ (only where that is safe)
final class HookCall {
  let request: HookRequest
  let deadline: Instant
  private let completion: HookPool.Completion
  private let loop: EventLoop
  var timer: TimerID?
  /// The connection that has it.
  var connection: HookConnection?
  /// Connections that could not be had for it.
  var misses = 0
  /// Something of it may have left.
  var wasSent = false
  /// It was sent once more, on another connection.
  var wasRepeated = false
  private(set) var isOver = false

  init(
    _ request: HookRequest, _ deadline: Instant, _ loop: EventLoop,
    _ completion: @escaping HookPool.Completion
  ) {
    self.request = request
    self.deadline = deadline
    self.loop = loop
    self.completion = completion
  }

  /// Tells whoever asked, once, at the end of the turn: nothing of theirs is in the middle of
  /// something then.
  func finish(_ result: Result<[UInt8], HookFailure>) {
    guard !isOver else { return }
    isOver = true
    if let timer { loop.cancel(timer) }
    timer = nil
    connection = nil
    loop.atTurnEnd { [completion] in completion(result) }
  }
}
