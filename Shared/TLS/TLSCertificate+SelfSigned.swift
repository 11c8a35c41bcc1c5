// A certificate of one's own, for a laptop and for tests.
//
// INVARIANTS:
// - Every object of libcrypto made here is freed here, on every way out.
// - Names come from configuration or code, never from a peer.
// - The queue of errors of the thread is emptied before the call returns.

internal import Bytes
internal import COpenSSL

extension TLSCertificate {
  /// A new key of P-256 and a certificate for `names` that it signs itself.
  ///
  /// - Shape: names are host names or addresses, at least one, such as `localhost` and `127.0.0.1`.
  ///   Browsers warn of it until it is trusted by hand.
  /// - Limits: valid from an hour ago for `days`, 1 ... 3,650.
  /// - Errors: `.certificate` for names that no certificate can have.
  public static func selfSigned(names: [String], days: Int = 365) throws(TLSError)
    -> TLSCertificate
  {
    guard let first = names.first, (1...3_650).contains(days), names.allSatisfy(isName) else {
      throw TLSError(
        .certificate, "a certificate is for host names or addresses, for 1 to 3650 days")
    }
    defer { ERR_clear_error() }
    // SAFE BECAUSE each object is checked and freed on the way out; the certificate takes references
    // of its own to what it is given.
    guard let key = unsafe copenssl_generate_p256(), let certificate = unsafe X509_new() else {
      preconditionFailure("libcrypto has no memory for a certificate")
    }
    defer {
      unsafe EVP_PKEY_free(key)
      unsafe X509_free(certificate)
    }
    let alternatives = names.map { isAddress($0) ? "IP:\($0)" : "DNS:\($0)" }
    guard unsafe X509_set_version(certificate, 2) == 1,
      unsafe setSerial(certificate),
      unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), -3_600) != nil,
      unsafe X509_time_adj_ex(X509_getm_notAfter(certificate), Int32(days), 0, nil) != nil,
      unsafe setName(certificate, first),
      unsafe X509_set_pubkey(certificate, key) == 1,
      unsafe add(NID_basic_constraints, "critical,CA:TRUE", to: certificate),
      unsafe add(NID_subject_alt_name, alternatives.joined(separator: ","), to: certificate),
      unsafe add(NID_ext_key_usage, "serverAuth", to: certificate),
      unsafe X509_sign(certificate, key, EVP_sha256()) > 0
    else { throw TLSError(.certificate, "a certificate can't be made for these names") }
    let chain = unsafe pem { unsafe PEM_write_bio_X509($0, certificate) }
    let privateKey = unsafe pem { unsafe PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) }
    return TLSCertificate(chain: chain, privateKey: privateKey)
  }

  /// Nothing that the grammar of extensions takes for a second name.
  private static func isName(_ name: String) -> Bool {
    (1...253).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "*"): true
        default: false
        }
      }
  }

  static func isAddress(_ name: String) -> Bool {
    name.contains(":") || name.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
  }

  private static func setSerial(_ certificate: OpaquePointer) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 8)
    // SAFE BECAUSE the call writes exactly the array's count.
    guard unsafe RAND_bytes(&bytes, 8) == 1 else { return false }
    let serial = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } >> 1 | 1
    return unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1
  }

  private static func setName(_ certificate: OpaquePointer, _ name: String) -> Bool {
    // SAFE BECAUSE the name belongs to the certificate, and the text is copied.
    let subject = unsafe X509_get_subject_name(certificate)
    let text = Array(name.utf8.prefix(64))
    return unsafe X509_NAME_add_entry_by_NID(
      subject, NID_commonName, MBSTRING_ASC, text, Int32(text.count), -1, 0) == 1
      && X509_set_issuer_name(certificate, subject) == 1
  }

  private static func add(_ kind: Int32, _ value: String, to certificate: OpaquePointer) -> Bool {
    // SAFE BECAUSE the extension is freed here; the certificate copies it.
    guard let part = unsafe X509V3_EXT_conf_nid(nil, nil, kind, value) else { return false }
    defer { unsafe X509_EXTENSION_free(part) }
    return unsafe X509_add_ext(certificate, part, -1) == 1
  }

  private static func pem(_ write: (OpaquePointer) -> Int32) -> [UInt8] {
    // SAFE BECAUSE the bytes are copied before their BIO is freed.
    guard let bio = unsafe BIO_new(BIO_s_mem()) else {
      preconditionFailure("libcrypto has no memory for PEM")
    }
    defer { unsafe BIO_free(bio) }
    unsafe precondition(write(bio) == 1, "libcrypto failed to write PEM")
    var start: UnsafeMutablePointer<CChar>?
    let count = unsafe copenssl_bio_bytes(bio, &start)
    return unsafe UnsafeBufferPointer(start: start, count: count).map { UInt8(bitPattern: $0) }
  }
}
