// Every call into libcrypto about private keys stands here.
//
// INVARIANTS:
// - A key has one owner, `PrivateKeyHandle`, which frees it in `deinit` and nowhere else.
// - A key never changes behind `init`, so that any number of threads may sign with it.
// - A span or array lends its pointer for the length of one C call; no pointer leaves the closure.
// - The queue of errors of the thread is emptied before a call returns.

internal import Bytes
internal import COpenSSL

/// An `EVP_PKEY` with its private half, held as an address so that it can be shared by threads.
@safe
final class PrivateKeyHandle: Sendable {
  private let address: UInt
  let kind: PublicKeyHandle.Kind

  /// Reads PKCS #8 (RFC 5958), SEC 1 or PKCS #1 in DER; nil for what is none of them, has bytes
  /// behind it, or is of another kind.
  init?(der: [UInt8]) {
    // SAFE BECAUSE the call reads at most `count` bytes, and its result is checked and owned here.
    let parsed: (key: OpaquePointer?, isWhole: Bool) = unsafe der.withUnsafeBufferPointer { der in
      var next = der.baseAddress
      let key = unsafe d2i_AutoPrivateKey(nil, &next, der.count)
      let end = unsafe der.baseAddress.map { unsafe $0 + der.count }
      return unsafe (key, next == end)
    }
    defer { ERR_clear_error() }
    guard let key = unsafe parsed.key else { return nil }
    guard unsafe parsed.isWhole, let kind = unsafe PublicKeyHandle.kind(of: key) else {
      unsafe EVP_PKEY_free(key)
      return nil
    }
    self.kind = kind
    address = UInt(bitPattern: key)
  }

  /// The signature of `message` in the form that libcrypto gives; nil where it can't be made.
  func sign(_ message: [UInt8]) -> [UInt8]? {
    // SAFE BECAUSE the key lives as long as `self`, and the second call writes at most as many bytes
    // as the first one said and the array has.
    unsafe PublicKeyHandle.withSignatureContext(kind) { context, method -> [UInt8]? in
      let key = unsafe OpaquePointer(bitPattern: address)
      guard unsafe EVP_DigestSignInit(context, nil, method, nil, key) == 1 else { return nil }
      return unsafe message.withUnsafeBufferPointer { message -> [UInt8]? in
        var count = 0
        guard unsafe EVP_DigestSign(context, nil, &count, message.baseAddress, message.count) == 1
        else { return nil }
        var signature = [UInt8](repeating: 0, count: count)
        let isDone = unsafe signature.withUnsafeMutableBufferPointer { output in
          unsafe EVP_DigestSign(
            context, output.baseAddress, &count, message.baseAddress, message.count) == 1
        }
        return isDone ? Array(signature.prefix(count)) : nil
      }
    }
  }

  deinit {
    // SAFE BECAUSE this object is the key's only owner and is gone after this.
    unsafe EVP_PKEY_free(OpaquePointer(bitPattern: address))
  }
}
