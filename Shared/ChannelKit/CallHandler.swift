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

  /// A client has come in.
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
}

extension CallHandler {
  public func entered(
    _ space: String, _ credentials: Payload?, by client: ClientContext,
    _ effects: inout CallEffects
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

/// What a handler wants done for the client, in order.
public struct CallEffects: Sendable, Equatable {
  public enum Effect: Sendable, Equatable {
    case emit(name: String, [Payload])
    case answer([Payload])
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

  private mutating func append(_ effect: Effect) {
    if list.count < Self.countMax { list.append(effect) }
  }
}
