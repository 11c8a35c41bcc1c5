/// The number by which a caller knows one HTTP exchange or one WebSocket of a session. Its own to
/// give; never given twice within a session.
public struct EngineCarrierID: Hashable, Sendable {
  public let number: UInt64
  public init(_ number: UInt64) { self.number = number }
}

/// Why a session ended, in the reference server's words.
public enum EngineCloseReason: String, Sendable, CaseIterable {
  /// The client said so, or its WebSocket is gone.
  case transportClose = "transport close"
  /// Requests that overlap or break off, a WebSocket that broke its protocol, a ping from the
  /// client.
  case transportError = "transport error"
  case parseError = "parse error"
  case pingTimeout = "ping timeout"
  /// This side closed it.
  case forcedClose = "forced close"
  /// More waited for the client than may wait. The reference server has no such bound.
  case queueOverflow = "queue overflow"
}

/// What a session wants done, in order.
public enum EngineAction: Hashable, Sendable {
  /// Answer the exchange with 200, `text/plain; charset=UTF-8`, `Cache-Control: no-store`, and this
  /// payload.
  case answerPoll(EngineCarrierID, payload: [UInt8])
  /// Answer the exchange with 200, `text/html`, `Cache-Control: no-store`, and `ok`.
  case acceptData(EngineCarrierID)
  /// Answer the exchange with the refusal's status and body.
  case refuse(EngineCarrierID, EngineRefusal)
  /// Answer the exchange with 413: its body is larger than `maxHttpBufferSize`.
  case refuseBody(EngineCarrierID)
  /// Write one message on the WebSocket.
  case send(EngineCarrierID, EngineFrame)
  /// Close the WebSocket once what was written is out; it may be gone already.
  case closeSocket(EngineCarrierID)
  /// A message of the client.
  case received(EngineMessage)
  /// The WebSocket carries the session from here on.
  case upgraded(EngineCarrierID)
  /// The session has ended; the last action there is. All its exchanges are answered.
  case closed(EngineCloseReason)
}

/// What a client sent, and as what.
public enum EngineMessage: Hashable, Sendable {
  /// UTF-8.
  case text([UInt8])
  case binary([UInt8])
}
