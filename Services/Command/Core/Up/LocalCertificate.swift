internal import Platform
internal import TLS
internal import TLSStream

/// The certificate that `sapphire up --tls` makes for this machine and nobody else vouches for.
///
/// It is kept from one start to the next, so that whoever has trusted it need not do so again, until
/// it has little time left or lacks a name.
enum LocalCertificate {
  static let days = 365
  /// With less time left it is made anew.
  static let renewSeconds: Int64 = 30 * 86_400

  /// The names it is for: this machine as it calls itself, and by loopback.
  static func names(hostName: String?) -> [String] {
    ["localhost", "127.0.0.1", "::1"] + [hostName].compactMap { $0 }.filter { $0 != "localhost" }
  }

  /// Makes sure that `data` holds a certificate that can be used; whether it was made just now.
  @discardableResult
  static func prepare(_ data: DataDirectory, at now: Int64) throws -> Bool {
    let files = CertificateFiles(certificate: data.certificate, key: data.certificateKey)
    let names = names(hostName: hostName())
    if let kept = try? files.load(at: now), kept.validUntil - now > renewSeconds,
      names.allSatisfy({ kept.certificate.isFor($0) })
    {
      return false
    }
    let made = try TLSCertificate.selfSigned(names: names, days: days)
    try Files.makeDirectories(data.secrets)
    try Files.setMode(data.secrets, 0o700)
    // The key first: a certificate without its key would be refused, and be made again.
    try Files.replace(data.certificateKey, with: made.privateKey, mode: 0o600, durability: .synced)
    try Files.replace(data.certificate, with: made.chain, mode: 0o600, durability: .synced)
    return true
  }

  /// What this machine is called, where that can be a name of a certificate.
  static func hostName() -> String? {
    guard let bytes = try? Files.read(FilePath("/proc/sys/kernel/hostname"), bytesMax: 256) else {
      return nil
    }
    let name = String(decoding: bytes.filter { $0 > 32 }, as: UTF8.self)
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E: true
      default: false
      }
    }
    return isPlain && (1...253).contains(name.utf8.count) ? name : nil
  }
}
