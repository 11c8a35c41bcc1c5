// One end of a TLS connection, over lent buffers.
//
// INVARIANTS:
// - The SSL object and `lent` have one owner, `TLSConnection`, which frees them in `deinit`; the BIO
//   belongs to the SSL object and refers to `lent`.
// - `lent` holds pointers only while one call runs: from `withLent`, which takes them back.
// - Between a call of libssl and `SSL_get_error` nothing else runs on the thread; the thread's queue
//   of errors is emptied before and after.
// - After a failure the SSL object is only freed (SSL_get_error(3), notes).

internal import Bytes
internal import COpenSSL

/// One end of a TLS connection as a machine of bytes: ciphertext in, plaintext and ciphertext out.
/// It knows no socket and no clock.
///
///     handshaking ──▶ open ──▶ ended      the peer said close_notify; sending is still possible
///          └────────────┴──▶ failed       an alert may have been written; then close the transport
///
/// - Isolation: its holder's loop; nothing suspends inside.
/// - Memory: what libssl holds, some 15 KiB when idle, and of the peer's bytes at most one record
///   (16 KiB) that has not ended, or one message of the handshake.
/// - Deadlines are the caller's: a handshake within seconds, and so many per turn.
@safe
public final class TLSConnection {
  public enum State: Equatable, Sendable {
    case handshaking
    case open
    case ended
    case failed
  }

  /// BUDGET: bytes of the peer before a handshake is over. Browsers send some 2 KiB, with large
  /// post-quantum keys 4 KiB.
  public static let handshakeBytesMax = 65_536
  /// The most that one record holds (RFC 8446 §5.1); its ciphertext is somewhat larger.
  private static let recordBytes = 16_384
  private static let chunkBytes = 16_384 + 512

  /// BUDGET: messages of the handshake protocol behind the handshake: updates of keys, tickets, attempts
  /// to renegotiate. One more for each `bytesPerLateMessage` that came; each costs us an answer.
  public static let lateMessagesMax = 32
  public static let bytesPerLateMessage = 65_536

  private let context: TLSContext
  private let ssl: OpaquePointer
  private let lent: UnsafeMutablePointer<copenssl_lent>
  public private(set) var state = State.handshaking
  /// What the connection has failed of.
  public private(set) var failure: TLSError?
  private var handshakeBytes = 0
  private var receivedBytes: UInt64 = 0
  private var hasSentClose = false

  /// A connection that has not begun. Without memory the process stops.
  public init(_ context: TLSContext) {
    self.context = context
    // SAFE BECAUSE the results are checked, and `deinit` frees them. `lent` has no pointers yet.
    unsafe lent = .allocate(capacity: 1)
    unsafe lent.initialize(to: copenssl_lent())
    unsafe lent.pointee.late_messages_max = UInt32(Self.lateMessagesMax)
    guard let ssl = unsafe SSL_new(context.context),
      unsafe copenssl_lend(ssl, context.method, lent) == 1
    else { preconditionFailure("libssl has no memory for a connection") }
    unsafe self.ssl = unsafe ssl
    switch context.role {
    case .server: unsafe SSL_set_accept_state(ssl)
    case .client(let name):
      unsafe SSL_set_connect_state(ssl)
      if let name {
        let isAddress: Int32 = TLSCertificate.isAddress(name) ? 1 : 0
        guard unsafe copenssl_expect(ssl, name, isAddress) == 1 else {
          preconditionFailure("libssl has no memory for a name")
        }
      }
    }
  }

  /// Begins a client's handshake; a server waits for the client's first bytes.
  public func start(into output: inout [UInt8]) throws(TLSError) {
    var plaintext: [UInt8] = []
    try receive([UInt8]().span, plaintext: &plaintext, output: &output)
  }

  /// Takes what came from the peer.
  ///
  /// - Shape: all of `ciphertext` is taken. What it held is appended to `plaintext`, at most as many
  ///   bytes and one record more; what has to go back, to `output`.
  /// - Cost: a server's full handshake some 0.5 ms, once; then about 1 µs and 0.3 ns a byte.
  /// - Errors: what the connection has failed of, now and at every later call. `plaintext` holds
  ///   what came before it, and `output` the alert, to be sent before the transport is closed.
  public func receive(
    _ ciphertext: borrowing Span<UInt8>, plaintext: inout [UInt8], output: inout [UInt8]
  ) throws(TLSError) {
    if let failure { throw failure }
    if state == .handshaking {
      if handshakeBytes == 0, context.isServer, ciphertext.count > 0, Self.isText(ciphertext[0]) {
        output += context.plainAnswer
        throw fail(TLSError(.plainHTTP, "the peer speaks without TLS"))
      }
    }
    try withLent(ciphertext, output: &output) { () throws(TLSError) in
      while state == .handshaking {
        guard try step({ unsafe SSL_do_handshake(ssl) }) else { return }
        state = .open
        // SAFE BECAUSE it is a plain number of what this object owns.
        unsafe lent.pointee.is_open = 1
      }
      try readAll(into: &plaintext)
    }
    try countHandshake(ciphertext.count)
  }

  /// What came is part of the handshake where it did not end it: behind its end may come much.
  private func countHandshake(_ bytes: Int) throws(TLSError) {
    guard state == .handshaking else { return }
    handshakeBytes += bytes
    guard handshakeBytes <= Self.handshakeBytesMax else {
      throw fail(TLSError(.handshakeTooLong, "the handshake is too long"))
    }
  }

  /// No record of TLS begins with a capital letter; every request of HTTP does.
  private static func isText(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) }

  /// Decrypts all records that are whole.
  private func readAll(into plaintext: inout [UInt8]) throws(TLSError) {
    // SAFE BECAUSE libssl writes at most the buffer's count, and `count` says how much it was.
    unsafe try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.recordBytes) {
      (buffer) throws(TLSError) in
      while state == .open {
        var count = 0
        guard try step({ unsafe SSL_read_ex(ssl, buffer.baseAddress, buffer.count, &count) })
        else { return }
        unsafe plaintext.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[..<count]))
        allowLateMessages(for: count)
      }
    }
  }

  private func allowLateMessages(for count: Int) {
    let before = receivedBytes / UInt64(Self.bytesPerLateMessage)
    receivedBytes &+= UInt64(count)
    let more = receivedBytes / UInt64(Self.bytesPerLateMessage) &- before
    // SAFE BECAUSE it is a plain number of what this object owns.
    unsafe lent.pointee.late_messages_max &+= UInt32(clamping: more)
  }

  /// Appends `plaintext`, encrypted, to `output`.
  ///
  /// Give it all that one flush has: records are filled to 16 KiB, and each costs 22 bytes and more.
  /// - Errors: `.unusable` before the handshake is over and behind `close`; nothing was written.
  public func send(
    _ plaintext: borrowing Span<UInt8>, output: inout [UInt8]
  ) throws(TLSError) {
    if let failure { throw failure }
    guard state == .open || state == .ended, !hasSentClose else {
      throw TLSError(.unusable, "nothing can be sent in this state")
    }
    var start = 0
    while start < plaintext.count {
      let end = min(plaintext.count, start + Self.recordBytes)
      let record = plaintext.extracting(start..<end)
      try withLent([UInt8]().span, output: &output) { () throws(TLSError) in
        try write(record)
      }
      start = end
    }
  }

  private func write(_ record: borrowing Span<UInt8>) throws(TLSError) {
    var written = 0
    // SAFE BECAUSE libssl reads at most `count` bytes. A record that did not fit the chunk is
    // offered again, the same bytes at the same place.
    let wrote: Result<Bool, TLSError> = unsafe record.withUnsafeBytes { bytes in
      do throws(TLSError) {
        return .success(
          try step { unsafe SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &written) })
      } catch { return .failure(error) }
    }
    // Without renegotiation a write never waits for the peer.
    guard try wrote.get(), written == record.count else {
      throw fail(TLSError(.violation, "a write waits for the peer"))
    }
  }

  /// Says close_notify, once; what the peer still sends can be received. Nothing where the handshake
  /// is not over, or behind a failure.
  public func close(into output: inout [UInt8]) {
    guard state == .open || state == .ended, !hasSentClose else { return }
    hasSentClose = true
    try? withLent([UInt8]().span, output: &output) { () throws(TLSError) in
      // 0: the peer's has not come yet; that is its business.
      _ = try step { unsafe max(SSL_shutdown(ssl), -1) == -1 ? -1 : 1 }
    }
  }

  /// Changes to new keys, and asks the peer to do so as well (RFC 8446 §4.6.3).
  ///
  /// - Errors: `.unusable` before TLS 1.3 stands.
  public func updateKeys(into output: inout [UInt8]) throws(TLSError) {
    if let failure { throw failure }
    guard state == .open, version == "TLSv1.3" else {
      throw TLSError(.unusable, "keys can't be changed in this state")
    }
    try withLent([UInt8]().span, output: &output) { () throws(TLSError) in
      // SAFE BECAUSE nothing is lent beyond the calls.
      guard unsafe SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 else { throw fail(error()) }
      // The peer's answer is one that was asked for.
      unsafe lent.pointee.late_messages_max &+= 1
      _ = try step { unsafe SSL_do_handshake(ssl) }
    }
  }

  /// Tells that the transport has ended: an error unless the peer had said close_notify before, for
  /// then anybody may have cut the end off.
  public func transportEnded() throws(TLSError) {
    if let failure { throw failure }
    guard state == .ended else {
      throw fail(TLSError(.truncated, "the connection ended without close_notify"))
    }
  }

  /// `TLSv1.2` or `TLSv1.3`; nil before the handshake is over.
  public var version: String? {
    guard state == .open || state == .ended else { return nil }
    // SAFE BECAUSE the text is a constant of the library.
    return unsafe SSL_get_version(ssl).map { unsafe String(cString: $0) }
  }

  /// Whether the peer asked for `http/1.1` by ALPN.
  public var hasApplicationProtocol: Bool {
    var start: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    // SAFE BECAUSE only the count is looked at.
    unsafe SSL_get0_alpn_selected(ssl, &start, &count)
    return count > 0
  }

  /// Whether the handshake was shortened by a ticket.
  public var isResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }

  /// Calls libssl until it is done (true), waits for the peer (false), or fails. What does not fit
  /// into the lent output is taken out, and the call made again.
  private func step(_ call: () -> Int32) throws(TLSError) -> Bool {
    while true {
      ERR_clear_error()
      let result = call()
      if result == 1 { return true }
      let error = unsafe SSL_get_error(ssl, result)
      defer { ERR_clear_error() }
      switch error {
      case SSL_ERROR_WANT_READ: return false
      case SSL_ERROR_WANT_WRITE: takeOutput()
      case SSL_ERROR_ZERO_RETURN:
        state = .ended
        return false
      default: throw fail(self.error())
      }
    }
  }

  /// What the thread's queue says about a failed call.
  private func error() -> TLSError {
    // SAFE BECAUSE both are plain numbers of `lent`, and the text is a constant of the library.
    guard unsafe lent.pointee.late_messages <= lent.pointee.late_messages_max else {
      return TLSError(.tooManyMessages, "too many updates of keys or attempts to renegotiate")
    }
    guard let (reason, text) = LibSSL.firstError() else {
      return TLSError(.violation, "the connection failed")
    }
    if reason == SSL_R_CERTIFICATE_VERIFY_FAILED, let why = unsafe copenssl_verify_error(ssl) {
      return TLSError(.untrusted, unsafe String(cString: why))
    }
    if reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_NO_SHARED_CIPHER
      || reason == SSL_R_NO_APPLICATION_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW
    {
      return TLSError(.nothingInCommon, text)
    }
    // An alert's number stands behind 1,000 (ssl.h, SSL_AD_REASON_OFFSET).
    if (1_000...1_255).contains(reason) {
      return TLSError(.alert(UInt8(truncatingIfNeeded: reason - 1_000)), text)
    }
    let isHTTP = reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST
    return TLSError(isHTTP ? .plainHTTP : .violation, text)
  }

  private func fail(_ error: TLSError) -> TLSError {
    failure = error
    state = .failed
    return error
  }

  /// While a call runs, where its output goes.
  private var taken: [UInt8] = []

  private func takeOutput() {
    // SAFE BECAUSE `output_count` bytes of the chunk were written, and it is lent at this moment.
    let chunk = unsafe UnsafeBufferPointer(
      start: lent.pointee.output, count: lent.pointee.output_count)
    unsafe taken.append(contentsOf: chunk)
    unsafe lent.pointee.output_count = 0
  }

  /// Lends `input` and a chunk for output while `body` runs; the output goes behind `output`.
  private func withLent(
    _ input: borrowing Span<UInt8>, output: inout [UInt8], _ body: () throws(TLSError) -> Void
  ) throws(TLSError) {
    // The caller's array is written to in place.
    swap(&taken, &output)
    defer { swap(&taken, &output) }
    // SAFE BECAUSE both buffers live until their closures end, and `lent` forgets them before.
    let result: Result<Void, TLSError> = unsafe input.withUnsafeBufferPointer { input in
      unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.chunkBytes) { chunk in
        unsafe lent.pointee.input = input.baseAddress
        unsafe lent.pointee.input_count = input.count
        unsafe lent.pointee.output = chunk.baseAddress
        unsafe lent.pointee.output_room = chunk.count
        unsafe lent.pointee.output_count = 0
        defer {
          unsafe lent.pointee.input = nil
          unsafe lent.pointee.input_count = 0
          unsafe lent.pointee.output = nil
          unsafe lent.pointee.output_room = 0
          unsafe lent.pointee.output_count = 0
        }
        do throws(TLSError) {
          defer { takeOutput() }
          try body()
          return .success(())
        } catch { return .failure(error) }
      }
    }
    try result.get()
  }

  deinit {
    // SAFE BECAUSE this object is their only owner; the BIO goes with the SSL object.
    unsafe SSL_free(ssl)
    unsafe lent.deinitialize(count: 1)
    unsafe lent.deallocate()
    ERR_clear_error()
  }
}

@available(*, unavailable) extension TLSConnection: Sendable {}
