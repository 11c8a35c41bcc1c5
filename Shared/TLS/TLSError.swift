/// Why a TLS connection or a certificate can't be used. `reason` is a text of the library's own
/// tables, never anything that the peer sent.
public struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: Equatable, Sendable {
    /// What the peer sent is not TLS, or breaks its rules; an alert was written for it.
    case violation
    /// The peer spoke HTTP without TLS.
    case plainHTTP
    /// There is no version, cipher or protocol that both ends speak.
    case nothingInCommon
    /// The peer's certificate is not for its name, or nobody trusted vouches for it.
    case untrusted
    /// More updates of keys or attempts to renegotiate than anybody needs.
    case tooManyMessages
    /// The peer ended the connection with this alert (RFC 8446 §6).
    case alert(UInt8)
    /// The transport ended without close_notify: something may be missing at the end.
    case truncated
    /// The handshake took more bytes than any has.
    case handshakeTooLong
    /// The connection was asked for something that it can't do in its state.
    case unusable
    /// A certificate, chain or key can't be read, does not fit together, or is too weak.
    case certificate
  }

  public let kind: Kind
  public let reason: String

  init(_ kind: Kind, _ reason: String) {
    self.kind = kind
    self.reason = reason
  }

  public var description: String { reason }
}
