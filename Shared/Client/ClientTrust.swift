internal import Loop
internal import TLS
internal import TLSStream

/// Whom a client believes that it has reached, where the server speaks https. There is no way to
/// believe anybody.
public enum ClientTrust: Sendable, Hashable {
  /// The certificates that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
  case system
  /// The certificates in this PEM text, such as the one that `sapphire up --tls` has made.
  case certificates([UInt8])

  /// Why PEM text can't be trusted; nil where it can.
  public static func fault(inCertificates pem: [UInt8]) -> String? {
    do throws(TLSError) {
      _ = try TLSContext(clientOf: "localhost", roots: pem)
      return nil
    } catch { return error.reason }
  }
}

/// Makes the transforms of connections to one server. Loop-confined; reads the system's certificates
/// once, with the first connection.
struct ClientSecurity {
  private let url: ServerURL
  private let trust: ClientTrust
  private var context: TLSContext?

  init(_ url: ServerURL, _ trust: ClientTrust) {
    self.url = url
    self.trust = trust
  }

  /// What the next connection speaks through; nil where the server speaks plain http.
  ///
  /// - Errors: certificates that can't be used; nothing is ever sent without them.
  mutating func transform() throws(TLSError) -> (any StreamTransform)? {
    guard url.isSecure else { return nil }
    if let context { return TLSTransform(context) }
    let roots: [UInt8]? =
      switch trust {
      case .system: nil
      case .certificates(let pem): pem
      }
    let made = try TLSContext(clientOf: url.host, roots: roots)
    context = made
    return TLSTransform(made)
  }
}
