// Every call into libcrypto about public keys stands here.
//
// INVARIANTS:
// - A key has one owner, `PublicKeyHandle`, which frees it in `deinit` and nowhere else.
// - A key never changes behind `init`; libcrypto guards its reference count and its caches with
//   locks of its own, so that any number of threads may check signatures with one key.
// - A span or array lends its pointer for the length of one C call; no pointer leaves the closure.
// - The queue of errors of the thread is emptied before a call returns: what a peer sent leaves
//   nothing behind that another caller could take for its own failure.

internal import Bytes
internal import COpenSSL

/// An `EVP_PKEY`, held as an address so that it can be shared by threads.
@safe
final class PublicKeyHandle: Sendable {
  private let address: UInt

  /// The kinds that are told apart.
  enum Kind: Sendable {
    case p256
    case ed25519
    case rsa(bits: Int)
  }

  let kind: Kind

  /// Reads a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in DER; nil for what is not one, has bytes
  /// behind it, is of another kind, or is no valid key of its kind.
  init?(subjectPublicKeyInfo der: [UInt8]) {
    // SAFE BECAUSE the call reads at most `count` bytes, and its result is checked and owned here.
    let parsed: (key: OpaquePointer?, isWhole: Bool) = unsafe der.withUnsafeBufferPointer { der in
      var next = der.baseAddress
      let key = unsafe d2i_PUBKEY(nil, &next, der.count)
      let end = unsafe der.baseAddress.map { unsafe $0 + der.count }
      return unsafe (key, next == end)
    }
    defer { ERR_clear_error() }
    guard let key = unsafe parsed.key else { return nil }
    guard unsafe parsed.isWhole, let kind = unsafe Self.kind(of: key), unsafe Self.isValid(key)
    else {
      unsafe EVP_PKEY_free(key)
      return nil
    }
    self.kind = kind
    address = UInt(bitPattern: key)
  }

  static func kind(of key: OpaquePointer) -> Kind? {
    // SAFE BECAUSE the calls only read the key; the name is at most as long as its buffer.
    switch unsafe EVP_PKEY_get_base_id(key) {
    case EVP_PKEY_ED25519: return .ed25519
    case EVP_PKEY_RSA: return .rsa(bits: unsafe Int(EVP_PKEY_get_bits(key)))
    case EVP_PKEY_EC:
      var name = [CChar](repeating: 0, count: 64)
      guard unsafe EVP_PKEY_get_group_name(key, &name, name.count, nil) == 1 else { return nil }
      let text = String(
        decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      return text == "prime256v1" ? .p256 : nil
    default: return nil
    }
  }

  /// `EVP_PKEY_public_check`: a point on its curve, a modulus that is odd and composite.
  private static func isValid(_ key: OpaquePointer) -> Bool {
    // SAFE BECAUSE the context is freed on the only way out.
    guard let context = unsafe EVP_PKEY_CTX_new(key, nil) else { return false }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    return unsafe EVP_PKEY_public_check(context) == 1
  }

  /// Whether `signature`, in the form that libcrypto takes, is that of `message`.
  func isValid(signature: [UInt8], message: borrowing Span<UInt8>) -> Bool {
    // SAFE BECAUSE the key lives as long as `self`, and the calls read exactly the counts they are
    // given.
    unsafe Self.withSignatureContext(kind) { context, method in
      let key = unsafe OpaquePointer(bitPattern: address)
      guard unsafe EVP_DigestVerifyInit(context, nil, method, nil, key) == 1 else { return false }
      return unsafe signature.withUnsafeBufferPointer { signature in
        unsafe message.withUnsafeBufferPointer { message in
          unsafe EVP_DigestVerify(
            context, signature.baseAddress, signature.count, message.baseAddress, message.count) == 1
        }
      }
    }
  }

  /// Calls `body` with a context for one signature by a key of that kind and the digest that goes
  /// with it, none for Ed25519, which hashes by itself. Both pointers are lent for the call alone.
  static func withSignatureContext<Result>(
    _ kind: Kind, _ body: (_ context: OpaquePointer, _ method: OpaquePointer?) -> Result
  ) -> Result {
    // SAFE BECAUSE the context is freed on the only way out; the digest is the library's for ever.
    guard let context = unsafe EVP_MD_CTX_new() else {
      preconditionFailure("libcrypto has no memory for a signature")
    }
    defer {
      unsafe EVP_MD_CTX_free(context)
      ERR_clear_error()
    }
    let method: OpaquePointer? = if case .ed25519 = kind { nil } else { unsafe EVP_sha256() }
    return unsafe body(context, method)
  }

  deinit {
    // SAFE BECAUSE this object is the key's only owner and is gone after this.
    unsafe EVP_PKEY_free(OpaquePointer(bitPattern: address))
  }
}
