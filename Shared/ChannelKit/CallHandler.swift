/// What answers calls of clients by name, whatever protocol carries them: an event of Socket.IO, a
/// message of bare Engine.IO, a remote procedure call.
///
/// A call belongs to no channel. A handler keeps no state of its clients: it is given values and says
/// what is to be done. One value serves all clients of a loop; its methods must not block. A whole
/// one:
///
///     public struct Clock: CallHandler {
///       public static let name = "clock"
///       public init() {}
///
///       public func called(
///         _ call: Call, by client: ClientContext, _ effects: inout CallEffects
///       ) throws(ChannelError) {
///         guard call.name == "round" else { throw .unknownEvent(call.name) }
///         effects.answer(call.arguments)
///       }
///     }
public protocol CallHandler: SendableMetatype {
  /// What a configuration calls it: 1 to 32 of `a-z`, `0-9` and `-`.
  static var name: String { get }

  init()

  /// A client has come in. Where the protocol answers that (Centrifuge: the `data` of `connect`), an
  /// answer is what it is told.
  ///
  /// - Parameters:
  ///   - space: where: a namespace of Socket.IO; empty where the protocol has none.
  ///   - credentials: the JSON object that it brought, which its token may be in; nil for none.
  func entered(
    _ space: String, _ credentials: Payload?, by client: ClientContext,
    _ effects: inout CallEffects)

  /// Decides what becomes of a call. What is thrown is told to its caller.
  func called(
    _ call: Call, by client: ClientContext, _ effects: inout CallEffects) throws(ChannelError)

  /// What became of a question that `CallEffects.ask` put to the client: told exactly once for each.
  ///
  /// Where the client has gone or could not be asked, nothing of `effects` reaches it.
  func answered(
    _ answer: CallAnswer, by client: ClientContext, _ effects: inout CallEffects)
}

extension CallHandler {
  public func entered(
    _ space: String, _ credentials: Payload?, by client: ClientContext,
    _ effects: inout CallEffects
  ) {}

  public func answered(
    _ answer: CallAnswer, by client: ClientContext, _ effects: inout CallEffects
  ) {}
}

/// What a client asks of a handler.
public struct Call: Sendable, Equatable {
  /// See `CallHandler.entered`.
  public var space: String
  /// Empty where the protocol's messages have no names.
  public var name: String
  /// JSON, text or bytes, each as it came; bounded by the protocol.
  public var arguments: [Payload]
  /// Whether the caller waits for an answer.
  public var wantsAnswer: Bool

  public init(space: String, name: String, arguments: [Payload], wantsAnswer: Bool) {
    self.space = space
    self.name = name
    self.arguments = arguments
    self.wantsAnswer = wantsAnswer
  }
}

/// A question to a client, which its handler gets back with the answer.
public struct CallQuestion: Sendable, Equatable {
  public var name: String
  public var arguments: [Payload]
  /// From when it is sent; at least a millisecond, at most `withinMax`.
  public var within: Duration
  /// The handler's own, not sent: what it needs to know what the answer is for. Bounded by `tagBytesMax`.
  public var tag: String

  public static let withinMax = Duration.seconds(300)
  public static let tagBytesMax = 1_024

  public init(_ name: String, _ arguments: [Payload], within: Duration, tag: String = "") {
    self.name = name
    self.arguments = arguments
    self.within = min(max(within, .milliseconds(1)), Self.withinMax)
    self.tag = tag.utf8.count <= Self.tagBytesMax ? tag : ""
  }
}

/// What became of a question.
public struct CallAnswer: Sendable, Equatable {
  public enum Outcome: Sendable, Equatable {
    case answered([Payload])
    /// Nothing came in time. What comes later is passed over.
    case late
    /// The client left first.
    case gone
    /// It was not asked: as many questions are open as one client may have, the event may not be
    /// called so, or the client's protocol has no way to answer.
    case notAsked
    /// What came is nothing that payloads can carry, such as bytes inside JSON.
    case unreadable
  }

  /// See `CallHandler.entered`.
  public var space: String
  /// As it was given to `CallEffects.ask`, its arguments left out.
  public var name: String
  public var tag: String
  public var outcome: Outcome

  public init(space: String, name: String, tag: String, _ outcome: Outcome) {
    self.space = space
    self.name = name
    self.tag = tag
    self.outcome = outcome
  }

  public init(_ question: CallQuestion, in space: String, _ outcome: Outcome) {
    self.init(space: space, name: question.name, tag: question.tag, outcome)
  }
}

/// What a handler wants done for the client, in order.
public struct CallEffects: Sendable, Equatable {
  public enum Effect: Sendable, Equatable {
    case emit(name: String, [Payload])
    case answer([Payload])
    case ask(CallQuestion)
  }

  /// BUDGET: effects of one call.
  public static let countMax = 64

  public private(set) var list: [Effect] = []

  public init() {}

  /// Sends the client an event. Past `countMax` nothing is sent.
  public mutating func emit(_ name: String, _ arguments: [Payload]) {
    append(.emit(name: name, arguments))
  }

  /// Answers the call; nothing happens where nobody waits. Only the first answer counts.
  public mutating func answer(_ arguments: [Payload]) { append(.answer(arguments)) }

  /// Sends the client an event that it is to answer; `CallHandler.answered` tells what it said.
  ///
  /// - Parameter tag: what the handler, which keeps no state, needs to know of the question.
  public mutating func ask(
    _ name: String, _ arguments: [Payload], within: Duration = .seconds(10), tag: String = ""
  ) {
    append(.ask(CallQuestion(name, arguments, within: within, tag: tag)))
  }

  /// The questions in it, for protocols that can't put any.
  public var questions: [CallQuestion] {
    list.compactMap { if case .ask(let question) = $0 { question } else { nil } }
  }

  private mutating func append(_ effect: Effect) {
    if list.count < Self.countMax { list.append(effect) }
  }
}
