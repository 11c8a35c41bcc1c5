// Every call into libcrypto (OpenSSL 3.0) stands here; the rest of the module is safe code.
//
// INVARIANTS:
// - A span or array lends its pointer for the length of one C call; no pointer leaves the closure.
// - Counts come from the span or array itself, never from the wire.
// - A digest context has one owner, `DigestContext`, which frees it in `deinit` and nowhere else.
// - An output buffer is at least as large as the largest output of the algorithm it is lent to.
// - A failed call stops the process: with fixed algorithms and valid buffers libcrypto can only fail
//   for want of memory, of entropy or of the algorithm itself, and no input brings that about.

internal import Bytes
internal import COpenSSL

/// The version of the library in use, such as `3.0.17`.
public enum CryptoLibrary {
  public static var version: String {
    // SAFE BECAUSE the call returns a string that ends in zero and is never freed.
    unsafe String(cString: OpenSSL_version(OPENSSL_VERSION_STRING))
  }
}

/// The digests in use, and how many bytes each yields.
enum DigestAlgorithm {
  case sha1
  case sha256

  var byteCount: Int {
    switch self {
    case .sha1: 20
    case .sha256: 32
    }
  }

  fileprivate var method: OpaquePointer {
    // SAFE BECAUSE the address is that of a method which is never freed.
    guard let method = unsafe OpaquePointer(bitPattern: self == .sha1 ? Self.sha1Method : Self.sha256Method)
    else { preconditionFailure("libcrypto lacks a digest") }
    return unsafe method
  }

  /// Fetched once: the library would look the name up for every digest.
  private static let sha1Method = fetch("SHA1")
  private static let sha256Method = fetch("SHA256")

  private static func fetch(_ name: String) -> UInt {
    // SAFE BECAUSE the call reads a string that ends in zero; the method it returns is kept for good.
    unsafe name.withCString { unsafe UInt(bitPattern: EVP_MD_fetch(nil, $0, nil)) }
  }
}

/// A digest under way. Owns one `EVP_MD_CTX`.
@safe
struct DigestContext: ~Copyable {
  private let context: OpaquePointer
  private let algorithm: DigestAlgorithm

  init(_ algorithm: DigestAlgorithm) {
    self.algorithm = algorithm
    // SAFE BECAUSE the context is checked, and `deinit` frees it.
    guard let context = unsafe EVP_MD_CTX_new() else {
      preconditionFailure("libcrypto has no memory for a digest")
    }
    unsafe self.context = context
    // SAFE BECAUSE both pointers are valid and no engine is named.
    guard unsafe EVP_DigestInit_ex(context, algorithm.method, nil) == 1 else {
      preconditionFailure("libcrypto refuses a digest")
    }
  }

  mutating func update(_ span: borrowing Span<UInt8>) {
    guard !span.isEmpty else { return }
    // SAFE BECAUSE the call reads exactly `count` bytes and keeps nothing.
    let result = unsafe span.withUnsafeBytes {
      unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count)
    }
    precondition(result == 1, "libcrypto failed to digest")
  }

  consuming func finish() -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: algorithm.byteCount)
    // SAFE BECAUSE the buffer holds the digest's whole length, which the algorithm fixes.
    let result = unsafe digest.withUnsafeMutableBufferPointer {
      unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil)
    }
    precondition(result == 1, "libcrypto failed to finish a digest")
    return digest
  }

  /// As `finish`, and begins the next digest of the same kind.
  mutating func next() -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: algorithm.byteCount)
    // SAFE BECAUSE the buffer holds the digest's whole length; without a method the context keeps its own.
    let succeeded = unsafe digest.withUnsafeMutableBufferPointer {
      unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil) == 1
        && EVP_DigestInit_ex(context, nil, nil) == 1
    }
    precondition(succeeded, "libcrypto failed to finish a digest")
    return digest
  }

  deinit {
    // SAFE BECAUSE this value is the context's only owner and is gone after this.
    unsafe EVP_MD_CTX_free(context)
  }
}

/// The digest of one span, without a context of ours.
func oneShotDigest(_ span: borrowing Span<UInt8>, _ algorithm: DigestAlgorithm) -> [UInt8] {
  var digest = [UInt8](repeating: 0, count: algorithm.byteCount)
  // SAFE BECAUSE the call reads exactly `count` bytes and writes the algorithm's fixed length.
  let result = unsafe span.withUnsafeBytes { input in
    unsafe digest.withUnsafeMutableBufferPointer {
      unsafe EVP_Digest(
        input.baseAddress, input.count, $0.baseAddress, nil, algorithm.method, nil)
    }
  }
  precondition(result == 1, "libcrypto failed to digest")
  return digest
}

/// HMAC-SHA-256 of `message` (RFC 2104).
func hmacSHA256(key: borrowing Span<UInt8>, message: borrowing Span<UInt8>) -> [UInt8] {
  guard let keyBytes = Int32(exactly: key.count) else {
    preconditionFailure("an HMAC key is under 2 GiB")
  }
  let keyStart: [UInt8] = key.isEmpty ? [0] : [UInt8](copying: key)
  var tag = [UInt8](repeating: 0, count: DigestAlgorithm.sha256.byteCount)
  // SAFE BECAUSE the call reads `keyBytes` and `count` bytes and writes the digest's 32. An empty
  // key has a pointer all the same: libcrypto takes a null one for "no key given".
  let succeeded = unsafe keyStart.withUnsafeBufferPointer { key in
    unsafe message.withUnsafeBufferPointer { message in
      unsafe tag.withUnsafeMutableBufferPointer { tag in
        unsafe HMAC(
          DigestAlgorithm.sha256.method, key.baseAddress, keyBytes, message.baseAddress,
          message.count, tag.baseAddress, nil) != nil
      }
    }
  }
  precondition(succeeded, "libcrypto failed to authenticate")
  return tag
}

/// `CRYPTO_memcmp` over spans of equal count.
func equalInConstantTime(_ a: borrowing Span<UInt8>, _ b: borrowing Span<UInt8>) -> Bool {
  guard a.count == b.count else { return false }
  guard !a.isEmpty else { return true }
  // SAFE BECAUSE both buffers hold `count` bytes and are only read.
  return unsafe a.withUnsafeBytes { a in
    unsafe b.withUnsafeBytes { b in
      unsafe CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0
    }
  }
}

/// Overwrites `bytes` with the library's random generator (`RAND_bytes`).
func fillWithRandom(_ bytes: inout [UInt8]) {
  guard let count = Int32(exactly: bytes.count) else {
    preconditionFailure("random bytes are asked for in under 2 GiB")
  }
  guard count > 0 else { return }
  // SAFE BECAUSE the call writes exactly `count` bytes, the array's own.
  let result = unsafe bytes.withUnsafeMutableBufferPointer {
    unsafe RAND_bytes($0.baseAddress, count)
  }
  precondition(result == 1, "the system has no random bytes")
}
