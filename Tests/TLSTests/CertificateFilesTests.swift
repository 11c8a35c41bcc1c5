import Platform
import TLS
import TLSStream
import TestKit
import Testing

@Suite struct CertificateFilesTests {
  private let now = SystemClock.wallMilliseconds() / 1_000

  private func withFiles(
    _ certificate: TLSCertificate, mode: UInt32 = 0o600, _ body: (CertificateFiles) throws -> Void
  ) throws {
    let folder = FilePath("/tmp/sapphire-tls-\(UInt64.random(in: .min ... .max))")
    try Files.makeDirectories(folder)
    let files = CertificateFiles(
      certificate: folder.appending("certificate.pem"), key: folder.appending("key.pem"))
    defer {
      try? Files.remove(files.certificate)
      try? Files.remove(files.key)
      try? Files.removeDirectory(folder)
    }
    try Files.create(files.certificate, content: certificate.chain, mode: 0o644)
    try Files.create(files.key, content: certificate.privateKey, mode: mode)
    try body(files)
  }

  private func refusal(_ files: CertificateFiles, at time: Int64? = nil) -> CertificateFiles.Refused? {
    do throws(CertificateFiles.Refused) {
      _ = try files.load(at: time ?? now)
      return nil
    } catch { return error }
  }

  @Test func loadsWhatFitsAndTellsHowLong() throws {
    try withFiles(try .selfSigned(names: ["localhost", "::1"], days: 30)) { files in
      let loaded = try files.load(at: now)
      #expect((now + 29 * 86_400...now + 30 * 86_400 + 60).contains(loaded.validUntil))
      #expect(loaded.certificate.isFor("localhost") && loaded.certificate.isFor("::1"))
      #expect(!loaded.certificate.isFor("example.org") && !loaded.certificate.isFor("127.0.0.1"))
    }
  }

  @Test func refusesFilesOutOfTheirTime() throws {
    try withFiles(try .selfSigned(names: ["localhost"], days: 30)) { files in
      let late = now + 33 * 86_400 + 3_600
      #expect(refusal(files, at: late)?.description.contains("expired 3 days ago") == true)
      #expect(refusal(files, at: late)?.part == .certificate)
      #expect(refusal(files, at: now - 5 * 86_400)?.description.contains("not valid yet") == true)
    }
  }

  @Test func refusesFilesThatAreMissingOrOthersToRead() throws {
    let good = try TLSCertificate.selfSigned(names: ["localhost"])
    try withFiles(good, mode: 0o644) { files in
      #expect(refusal(files)?.part == .key)
      #expect(refusal(files)?.description.contains("chmod") == true)
      try Files.setMode(files.key, 0o640)
      #expect(refusal(files) == nil)
      try Files.remove(files.key)
      #expect(refusal(files)?.part == .key)
      try Files.remove(files.certificate)
      #expect(refusal(files)?.part == .certificate)
    }
  }

  @Test func refusesAKeyOfAnotherCertificateAndWhatIsNoPEM() throws {
    let good = try TLSCertificate.selfSigned(names: ["localhost"])
    let other = try TLSCertificate.selfSigned(names: ["localhost"])
    try withFiles(TLSCertificate(chain: good.chain, privateKey: other.privateKey)) { files in
      #expect(refusal(files)?.part == .key)
      #expect(refusal(files)?.description.contains("BEGIN") == false)
    }
    try withFiles(TLSCertificate(chain: utf8("hello"), privateKey: good.privateKey)) { files in
      #expect(refusal(files)?.part == .certificate)
    }
  }
}
