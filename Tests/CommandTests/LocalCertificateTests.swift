import Platform
import Testing

@testable import CommandCore

@Suite struct LocalCertificateTests {
  private let now = SystemClock.wallMilliseconds() / 1_000

  private func data(_ folder: TemporaryDirectory) throws -> DataDirectory {
    try DataDirectory(
      option: folder.path.description, environment: { _ in nil }, isRoot: false,
      workingDirectory: "/")
  }

  @Test func isMadeOnceAndKeptForItsOwnerAlone() throws {
    let folder = try TemporaryDirectory()
    let data = try data(folder)
    #expect(try LocalCertificate.prepare(data, at: now))
    let made = try Files.read(data.certificate, bytesMax: 1 << 20)
    for path in [data.certificate, data.certificateKey] {
      #expect(try Files.status(path).mode & 0o777 == 0o600)
    }
    #expect(try Files.status(data.secrets).mode & 0o777 == 0o700)
    #expect(try !LocalCertificate.prepare(data, at: now))
    #expect(try Files.read(data.certificate, bytesMax: 1 << 20) == made)
  }

  @Test func isMadeAnewBeforeItsEndAndWhereItCannotBeUsed() throws {
    let folder = try TemporaryDirectory()
    let data = try data(folder)
    try LocalCertificate.prepare(data, at: now)
    #expect(try LocalCertificate.prepare(data, at: now + 340 * 86_400))
    try Files.replace(data.certificateKey, with: [1, 2, 3], mode: 0o600)
    #expect(try LocalCertificate.prepare(data, at: now))
    try Files.setMode(data.certificateKey, 0o644)
    #expect(try LocalCertificate.prepare(data, at: now))
    #expect(try !LocalCertificate.prepare(data, at: now))
  }

  @Test func isForThisMachine() {
    #expect(LocalCertificate.names(hostName: "box") == ["localhost", "127.0.0.1", "::1", "box"])
    #expect(LocalCertificate.names(hostName: "localhost") == ["localhost", "127.0.0.1", "::1"])
    #expect(LocalCertificate.names(hostName: nil).count == 3)
  }
}
