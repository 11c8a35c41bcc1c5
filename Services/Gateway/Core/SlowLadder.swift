internal import ChannelKit
internal import Config

/// What becomes of a channel's publications for a client that does not take them in time: the steps
/// of its rule, in order. Pure.
///
///     buffer ──▶ merge ──▶ skip or park or disconnect
///                             └──(not caught up within patience)──▶ disconnect
struct SlowLadder: Sendable, Equatable {
  enum Step: String, CaseIterable, Sendable {
    /// It waits.
    case buffer
    /// Later publications take the place of earlier ones of the same key.
    case merge
    /// The oldest are left out, and the client is told how many.
    case skip
    /// They are left to the history, to be read on from there when the client has room.
    case park
    /// The client is let go.
    case disconnect
  }

  enum Key: Sendable, Equatable {
    /// As the channel's type merges.
    case type
    case publisher
    case user
    /// A member of the published JSON object.
    case member(String)
  }

  /// Nil: nothing is merged.
  var merge: Key?
  /// The last step: `skip`, `park` or `disconnect`.
  var last = Step.skip
  /// Bytes of the channel that may wait before the next step; nil: as much as the client's queue.
  var bufferBytes: Int?
  /// How long a client may be behind before it is let go; nil: for ever.
  var patience: Duration?

  init(
    merge: Key? = nil, last: Step = .skip, bufferBytes: Int? = nil, patience: Duration? = nil
  ) {
    self.merge = merge
    self.last = last
    self.bufferBytes = bufferBytes
    self.patience = patience
  }

  /// The step for `bytes` more of a channel of which `waiting` wait, where `room` bytes of the
  /// client's queue are free. What has been merged may fill the client's queue.
  func step(_ bytes: Int, waiting: Int, isMerging: Bool, room: Int) -> Step {
    let isOver = waiting > 0 && waiting + bytes > bufferBytes ?? .max
    if !isOver || isMerging, bytes <= room { return .buffer }
    return merge != nil && !isMerging ? .merge : last
  }

  /// What the rule says, else what its kind of channel asks for.
  ///
  /// - Parameter merges: whether the channel's type merges publications of its own accord.
  init(_ policy: ChannelPolicy, merges: Bool) {
    self = policy.slow ?? .standard(hasHistory: policy.history != .none, merges: merges)
    // A type that merges nothing has no keys.
    if merge == .type, !merges { merge = .publisher }
  }

  static func standard(hasHistory: Bool, merges: Bool) -> SlowLadder {
    if hasHistory { return SlowLadder(last: .park) }
    return merges ? SlowLadder(merge: .type, bufferBytes: mergeFromBytes) : SlowLadder()
  }

  /// BUDGET: from when on a channel merges whose rule doesn't say.
  static let mergeFromBytes = 16 * 1024
}
