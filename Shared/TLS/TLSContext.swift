// What connections are made from: certificates, keys and rules, in an SSL_CTX.
//
// INVARIANTS:
// - The SSL_CTX and the BIO_METHOD have one owner, `TLSContext`, which frees them in `deinit`; every
//   connection keeps its context, so that both outlive all that was made with them.
// - Neither changes behind `init`. libssl guards reference counts and ticket keys with locks of its
//   own, so that threads may make connections from one context at the same time.
// - Bytes are lent for the length of one call; no pointer leaves the closure.
// - The queue of errors of the thread is emptied before a call returns.

internal import COpenSSL

/// A certificate chain and its private key, in PEM.
public struct TLSCertificate: Sendable {
  /// The server's certificate, and behind it those that lead to a root, in order.
  public var chain: [UInt8]
  /// A private key without a password.
  public var privateKey: [UInt8]

  public init(chain: [UInt8], privateKey: [UInt8]) {
    self.chain = chain
    self.privateKey = privateKey
  }
}

extension TLSCertificate {
  /// When the certificate is valid, in seconds since 1970.
  public func validity() throws(TLSError) -> ClosedRange<Int64> {
    try TLSContext.validity(ofChain: chain)
  }

  /// Whether the certificate is for `name`, a host name or an address.
  public func isFor(_ name: String) -> Bool {
    (try? TLSContext.isChain(chain, for: name)) ?? false
  }
}

extension TLSCertificate: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "a certificate and its key" }
  public var debugDescription: String { description }
  /// Nothing: a dump would print the key.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What connections of one end are made from: TLS 1.2 and 1.3, ephemeral keys and authenticated
/// ciphers only, no compression, no renegotiation, no early data, ALPN `http/1.1`.
///
/// Reloading a certificate makes a new context: connections that exist keep theirs. Any thread;
/// loops share one, so that a client's ticket is good at each of them.
@safe
public final class TLSContext: Sendable {
  /// Whether clients may come back without a full handshake. Tickets are sealed with keys that live
  /// as long as the context: making a new one now and then rotates them.
  public enum Resumption: Sendable {
    case off
    case tickets
  }

  /// A version that is spoken.
  public enum Version: Sendable {
    case tls12
    case tls13
  }

  enum Role: Sendable {
    case server
    case client(name: String?)
  }

  /// BUDGET: certificates of a chain, and of those that a client trusts.
  public static let chainMax = 16
  public static let rootsMax = 1_024

  let role: Role
  /// What a peer of a server is told that speaks without TLS, as it goes over the wire.
  let plainAnswer: [UInt8]
  private let contextAddress: UInt
  private let methodAddress: UInt

  /// Freed by `deinit`; never nil.
  var context: OpaquePointer? { unsafe OpaquePointer(bitPattern: contextAddress) }
  var method: OpaquePointer? { unsafe OpaquePointer(bitPattern: methodAddress) }

  /// The server's end.
  ///
  /// - Errors: `.certificate` where PEM can't be read, the key is not the certificate's, is sealed
  ///   with a password or is too weak.
  public convenience init(
    server certificate: TLSCertificate, resumption: Resumption = .off, oldest: Version = .tls12,
    newest: Version = .tls13, plainAnswer: [UInt8] = []
  ) throws(TLSError) {
    try self.init(
      role: .server, resumption: resumption, oldest: oldest, newest: newest,
      plainAnswer: plainAnswer)
    try use(certificate)
  }

  /// A client's end: trusts the certificates in `roots` (PEM) and no others, the system's where nil,
  /// and wants the server's to be for `name`, a host name or an address.
  public convenience init(
    clientOf name: String, roots: [UInt8]?, resumption: Resumption = .off, newest: Version = .tls13
  ) throws(TLSError) {
    try self.init(
      role: .client(name: name), resumption: resumption, oldest: .tls12, newest: newest,
      plainAnswer: [])
    if let roots { try trust(roots) } else { try trustSystem() }
  }

  var isServer: Bool { if case .server = role { true } else { false } }

  private init(
    role: Role, resumption: Resumption, oldest: Version, newest: Version, plainAnswer: [UInt8]
  ) throws(TLSError) {
    let isServer = if case .server = role { true } else { false }
    // SAFE BECAUSE both results are checked, and `deinit` frees them from here on.
    guard let context = unsafe SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()),
      let method = unsafe copenssl_lent_method()
    else { preconditionFailure("libssl has no memory for a context") }
    self.role = role
    self.plainAnswer = plainAnswer
    contextAddress = UInt(bitPattern: context)
    methodAddress = UInt(bitPattern: method)
    defer { ERR_clear_error() }
    guard unsafe copenssl_configure(context, isServer ? 1 : 0, resumption == .tickets ? 1 : 0) == 1,
      unsafe newest == .tls13 || copenssl_limit_to_tls12(context) == 1,
      unsafe oldest == .tls12 || copenssl_require_tls13(context) == 1
    else { throw TLSError(.certificate, "libssl lacks the ciphers or groups that are used here") }
  }

  private func use(_ certificate: TLSCertificate) throws(TLSError) {
    defer { ERR_clear_error() }
    let chain = try Self.certificates(certificate.chain)
    // SAFE BECAUSE libssl takes references of its own to what it is given.
    guard let leaf = chain.first, unsafe SSL_CTX_use_certificate(context, leaf.x509) == 1 else {
      throw failure("the certificate can't be used")
    }
    for entry in chain.dropFirst() {
      guard unsafe copenssl_add_chain_certificate(context, entry.x509) == 1 else {
        throw failure("a certificate of the chain can't be used")
      }
    }
    let key = unsafe Self.withBIO(certificate.privateKey) { bio in
      unsafe PEM_read_bio_PrivateKey(bio, nil, copenssl_no_password, nil)
    }
    guard let key = unsafe key else {
      throw failure("the private key is not PEM without a password")
    }
    defer { unsafe EVP_PKEY_free(key) }
    guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1,
      unsafe SSL_CTX_check_private_key(context) == 1
    else { throw failure("the private key is not that of the certificate") }
  }

  private func trust(_ roots: [UInt8]) throws(TLSError) {
    defer { ERR_clear_error() }
    // SAFE BECAUSE the store belongs to the context and takes references of its own.
    let store = unsafe SSL_CTX_get_cert_store(context)
    for entry in try Self.certificates(roots, most: Self.rootsMax) {
      guard unsafe X509_STORE_add_cert(store, entry.x509) == 1 else {
        throw failure("a root certificate can't be used")
      }
    }
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
  }

  /// The certificates that the system trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
  private func trustSystem() throws(TLSError) {
    defer { ERR_clear_error() }
    // SAFE BECAUSE the context is only lent.
    guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else {
      throw failure("the system's certificates can't be read")
    }
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
  }

  /// When the first certificate of `chain` is valid, in seconds since 1970.
  static func validity(ofChain chain: [UInt8]) throws(TLSError) -> ClosedRange<Int64> {
    defer { ERR_clear_error() }
    guard let leaf = try certificates(chain).first else {
      throw TLSError(.certificate, "there is no certificate")
    }
    var begin: Int64 = 0
    var end: Int64 = 0
    // SAFE BECAUSE the times belong to the certificate, which outlives the calls.
    guard unsafe copenssl_seconds(X509_get0_notBefore(leaf.x509), &begin) == 1,
      unsafe copenssl_seconds(X509_get0_notAfter(leaf.x509), &end) == 1, begin <= end
    else { throw TLSError(.certificate, "the certificate's dates can't be read") }
    return withExtendedLifetime(leaf) { begin...end }
  }

  /// Whether the first certificate of `chain` is for `name`, a host name or an address.
  static func isChain(_ chain: [UInt8], for name: String) throws(TLSError) -> Bool {
    defer { ERR_clear_error() }
    guard let leaf = try certificates(chain).first else { return false }
    // SAFE BECAUSE the certificate outlives the call, and the name is lent for its length.
    return withExtendedLifetime(leaf) {
      TLSCertificate.isAddress(name)
        ? unsafe X509_check_ip_asc(leaf.x509, name, 0) == 1
        : unsafe X509_check_host(leaf.x509, name, name.utf8.count, 0, nil) == 1
    }
  }

  /// All certificates of PEM text, at least one.
  private static func certificates(_ pem: [UInt8], most: Int = chainMax) throws(TLSError)
    -> [Certificate]
  {
    let found = unsafe withBIO(pem) { bio in
      var found: [Certificate] = []
      // SAFE BECAUSE each result is owned by its element of `found`.
      while found.count <= most, let next = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
        unsafe found.append(Certificate(x509: next))
      }
      return found
    }
    guard let found, (1...most).contains(found.count) else {
      throw TLSError(.certificate, "there is no certificate in PEM, or there are more than \(most)")
    }
    return found
  }

  private static func withBIO<Result>(
    _ bytes: [UInt8], _ body: (OpaquePointer) -> Result?
  ) -> Result? {
    guard let count = Int32(exactly: bytes.count), count > 0 else { return nil }
    // SAFE BECAUSE the BIO only reads `count` bytes, and is freed before the array is let go.
    return unsafe bytes.withUnsafeBytes { buffer in
      guard let bio = unsafe BIO_new_mem_buf(buffer.baseAddress, count) else { return nil }
      defer { unsafe BIO_free(bio) }
      return unsafe body(bio)
    }
  }

  /// Our words, and the library's for the first error of its queue.
  private func failure(_ text: String) -> TLSError {
    TLSError(.certificate, LibSSL.firstError().map { "\(text): \($0.text)" } ?? text)
  }

  deinit {
    // SAFE BECAUSE this object is their only owner, and connections keep it alive.
    unsafe SSL_CTX_free(context)
    unsafe BIO_meth_free(method)
  }
}

/// Owns one X509.
@safe
private final class Certificate {
  let x509: OpaquePointer

  init(x509: OpaquePointer) { unsafe self.x509 = x509 }

  deinit {
    // SAFE BECAUSE this object is its only owner.
    unsafe X509_free(x509)
  }
}

enum LibSSL {
  /// The first error in this thread's queue: its reason's number and text.
  static func firstError() -> (reason: Int32, text: String)? {
    let code = ERR_peek_error()
    guard code != 0 else { return nil }
    // SAFE BECAUSE the text is a constant of the library.
    guard let text = unsafe ERR_reason_error_string(code) else {
      return (ERR_GET_REASON(code), "no reason given")
    }
    return (ERR_GET_REASON(code), unsafe String(cString: text))
  }
}
