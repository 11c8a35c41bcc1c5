/// Why a client is no longer in a namespace, in the reference server's words; those of a session
/// that has ended are Engine.IO's.
public enum SocketDisconnectReason: String, Sendable, CaseIterable {
  case transportError = "transport error"
  case transportClose = "transport close"
  case forcedClose = "forced close"
  case pingTimeout = "ping timeout"
  case parseError = "parse error"
  /// More waited for the client than may wait.
  case queueOverflow = "queue overflow"
  case serverShuttingDown = "server shutting down"
  case forcedServerClose = "forced server close"
  case clientNamespaceDisconnect = "client namespace disconnect"
  case serverNamespaceDisconnect = "server namespace disconnect"

  /// Whether the client may come back to where it was.
  public var isRecoverable: Bool {
    switch self {
    case .transportError, .transportClose, .forcedClose, .pingTimeout, .queueOverflow,
      .serverShuttingDown, .forcedServerClose:
      true
    case .parseError, .clientNamespaceDisconnect, .serverNamespaceDisconnect: false
    }
  }
}

/// An event of the client that waits for its acknowledgement. Good once, and only while the client
/// is in the namespace it sent it in.
public struct SocketAnswer: Hashable, Sendable {
  public let namespace: SocketNamespace
  public let id: SocketAckID
  /// Which of the client's stays in the namespace it was.
  let stay: UInt64
}

/// What a connection wants done, in order.
public enum SocketAction: Hashable, Sendable {
  /// Send these Engine.IO messages, one after the other.
  case send(SocketFrames)
  /// The client wants to be in the namespace, with this JSON object or without one: `accept` or
  /// `refuse` it.
  case connectRequested(SocketNamespace, auth: [UInt8]?)
  /// The client sent an event; with an answer it waits for an acknowledgement.
  case event(SocketNamespace, SocketEvent, SocketAnswer?)
  /// The client acknowledged what it was asked.
  case acknowledged(SocketNamespace, SocketAckID, SocketArguments)
  /// It did not in time, or has left the namespace.
  case unacknowledged(SocketNamespace, SocketAckID)
  /// The client, which was accepted, is no longer in the namespace.
  case disconnected(SocketNamespace, SocketDisconnectReason)
  /// Close the Engine.IO session in order; the last action there is. Nil where this side wanted it.
  case close(SocketError?)
}
