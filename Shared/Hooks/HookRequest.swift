/// One question to a back end.
public struct HookRequest {
  /// What may be done where no answer comes.
  public enum Repeats: Sendable {
    /// It may be sent again only where nothing of it has left.
    case untilSent
    /// It may be sent again once where a kept connection ended without an answer: asking twice is
    /// asking once.
    case untilAnswered
  }

  /// JSON.
  public var body: [UInt8]
  /// Fields beside those that every request has.
  public var fields: [(name: String, value: String)] = []
  /// From now to the whole answer.
  public var within: Duration
  public var repeats = Repeats.untilSent
  /// Whether anybody still waits for the answer; asked before it is sent.
  public var isWanted: () -> Bool = { true }

  public init(_ body: [UInt8], within: Duration) {
    self.body = body
    self.within = within
  }
}

/// Why a back end gave no answer that could be used.
public enum HookFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// No connection could be had; nothing was sent.
  case unreachable(reason: String)
  /// No answer came in time, or the connection was lost; the back end may have acted.
  case unanswered(reason: String)
  /// The status was another than 2xx.
  case status(Int)
  /// What came is no answer, or too long.
  case malformed(reason: String)
  /// Too many requests wait already; nothing was sent.
  case queueFull
  /// Nobody waits for the answer any more; nothing was sent.
  case unwanted

  public var description: String {
    switch self {
    case .unreachable(let reason): "the back end can't be reached: \(reason)"
    case .unanswered(let reason): "the back end gave no answer: \(reason)"
    case .status(let status): "the back end answered with status \(status)"
    case .malformed(let reason): "the back end's answer can't be used: \(reason)"
    case .queueFull: "too many requests wait for the back end"
    case .unwanted: "nobody waits for the answer"
    }
  }

  /// Whether the back end may have acted on the request.
  public var mayHaveActed: Bool {
    switch self {
    case .unreachable, .queueFull, .unwanted: false
    case .unanswered, .status, .malformed: true
    }
  }
}

/// How much one pool may hold.
public struct HookLimits: Sendable, Equatable {
  /// Connections, each with one request under way.
  public var connectionsMax: Int
  /// Requests that wait for one.
  public var waitingMax: Int
  public var answerBytesMax: Int
  /// How long a connection is kept for the next request: less than servers commonly do.
  var idleMax = Duration.seconds(4)

  public init(connectionsMax: Int = 64, waitingMax: Int = 1_024, answerBytesMax: Int = 64 * 1024) {
    self.connectionsMax = connectionsMax
    self.waitingMax = waitingMax
    self.answerBytesMax = answerBytesMax
  }
}
