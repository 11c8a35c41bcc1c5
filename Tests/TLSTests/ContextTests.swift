import TLS
import Testing

@Suite struct ContextTests {
  private func failure(_ certificate: TLSCertificate) -> TLSError.Kind? {
    do throws(TLSError) {
      _ = try TLSContext(server: certificate)
      return nil
    } catch { return error.kind }
  }

  @Test func refusesWhatIsNoCertificateOrNoKey() throws {
    let good = try TLSCertificate.selfSigned(names: ["localhost"])
    let other = try TLSCertificate.selfSigned(names: ["localhost"])
    #expect(failure(good) == nil)
    for bad in [
      TLSCertificate(chain: [], privateKey: good.privateKey),
      TLSCertificate(chain: good.chain, privateKey: []),
      TLSCertificate(chain: utf8("-----BEGIN CERTIFICATE-----"), privateKey: good.privateKey),
      TLSCertificate(chain: good.privateKey, privateKey: good.chain),
      TLSCertificate(chain: good.chain, privateKey: other.privateKey),
      TLSCertificate(chain: Array(good.chain.dropLast(60)), privateKey: good.privateKey),
      TLSCertificate(chain: good.chain, privateKey: utf8(sealedKey)),
      TLSCertificate(chain: utf8(weakCertificate), privateKey: utf8(weakKey)),
      TLSCertificate(
        chain: Array([[UInt8]](repeating: good.chain, count: 17).joined()),
        privateKey: good.privateKey),
    ] {
      #expect(failure(bad) == .certificate)
    }
  }

  @Test func readsAChainBehindTheCertificate() throws {
    let good = try TLSCertificate.selfSigned(names: ["localhost"])
    let root = try TLSCertificate.selfSigned(names: ["root"])
    #expect(
      failure(TLSCertificate(chain: good.chain + root.chain, privateKey: good.privateKey)) == nil)
  }

  @Test(arguments: [
    [], [""], ["a b"], ["localhost,DNS:evil"], ["a\0"], ["x/y"],
    [String(repeating: "a", count: 254)],
  ])
  func makesNoCertificateForWhatIsNoName(names: [String]) {
    #expect(throws: TLSError.self) { try TLSCertificate.selfSigned(names: names) }
  }

  @Test func makesCertificatesForNamesAndAddresses() throws {
    let names = ["localhost", "*.example.org", "127.0.0.1", "::1"]
    let certificate = try TLSCertificate.selfSigned(names: names)
    let server = try TLSContext(server: certificate)
    for name in ["localhost", "a.example.org"] {
      let client = try TLSContext(clientOf: name, roots: certificate.chain)
      let pair = Pair(client: client, server: server)
      pair.run()
      #expect(pair.client.state == .open, "\(name)")
    }
    #expect(throws: TLSError.self) { try TLSCertificate.selfSigned(names: names, days: 0) }
  }

  @Test func aClientRefusesCertificatesThatItDoesNotTrust() throws {
    let ends = try Ends()
    let other = try TLSCertificate.selfSigned(names: ["localhost"])
    let stranger = Pair(
      client: try TLSContext(clientOf: "localhost", roots: other.chain), server: ends.server)
    stranger.run()
    #expect(stranger.client.state == .failed)
    guard case .alert? = stranger.atServer.error?.kind else {
      Issue.record("the server was told nothing: \(String(describing: stranger.atServer.error))")
      return
    }
    let elsewhere = Pair(
      client: try TLSContext(clientOf: "example.org", roots: ends.certificate.chain),
      server: ends.server)
    elsewhere.run()
    #expect(elsewhere.client.state == .failed)
  }

  /// A reload is another context; whoever is connected goes on with the old one.
  @Test func reloadingLeavesConnectionsAlone() throws {
    let ends = try Ends()
    var current: TLSContext? = ends.server
    let old = Pair(client: ends.client, server: try #require(current))
    old.run()
    let renewed = try TLSCertificate.selfSigned(names: ["localhost"])
    current = try TLSContext(server: renewed)
    let client = try TLSContext(clientOf: "localhost", roots: renewed.chain)
    let new = Pair(client: client, server: try #require(current))
    new.run()
    #expect(new.client.state == .open)
    try old.sendToServer([1])
    old.run()
    #expect(old.atServer.plaintext == [1])
    let late = Pair(client: ends.client, server: try #require(current))
    late.run()
    #expect(late.client.state == .failed)
  }

  @Test func aConnectionKeepsItsContextAlive() throws {
    let certificate = try TLSCertificate.selfSigned(names: ["localhost"])
    func pair() throws -> Pair {
      Pair(
        client: try TLSContext(clientOf: "localhost", roots: certificate.chain),
        server: try TLSContext(server: certificate))
    }
    let kept = try pair()
    kept.run()
    try kept.sendToServer([9])
    kept.run()
    #expect(kept.atServer.plaintext == [9])
  }

  @Test func threadsShareAContext() async throws {
    let ends = try Ends()
    let (client, server) = (ends.client, ends.server)
    let count = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          (0..<20).count { _ in
            let pair = Pair(client: client, server: server)
            pair.run()
            return pair.server.state == .open
          }
        }
      }
      return await group.reduce(0, +)
    }
    #expect(count == 80)
  }

  @Test func printsNoKey() throws {
    let certificate = try TLSCertificate.selfSigned(names: ["localhost"])
    var text = "\(certificate) \(String(reflecting: certificate))"
    dump(certificate, to: &text)
    #expect(!text.contains("45, 45") && !text.contains("BEGIN"))
  }
}

/// A key of P-256 behind a password.
private let sealedKey = """
  -----BEGIN ENCRYPTED PRIVATE KEY-----
  MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAj63jXhCLmHFAICA+gw
  DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGB6LmvSXGM8hYh2OxP3tyAEgZC5
  M3B7eIpzCodWry6qrbEK3lGdv8vSWGFcRNAHRkJCAi+xSVOU5X4ibgw3SXcjJTKk
  fyUsYmrqICvONk021ZFCn3xOMbV/XO/2S8qkNpinfOi7EJTpUA40/5i3Z64M9nDZ
  nMJ5xePLyL5oRe+5OaPKCE5XMtRDtZQmYiZLsjQdvcqoRZdCs94XbCHpWVCXaC8=
  -----END ENCRYPTED PRIVATE KEY-----
  """

/// A certificate of RSA with 1,024 bits.
private let weakCertificate = """
  -----BEGIN CERTIFICATE-----
  MIIB/DCCAWWgAwIBAgIUItFIDohxtqn/lWkYkthJ6d05EyowDQYJKoZIhvcNAQEL
  BQAwDzENMAsGA1UEAwwEd2VhazAgFw0yNjExMjExMjQ1NTlaGA8yMTI2MTAyODEy
  NDU1OVowDzENMAsGA1UEAwwEd2VhazCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkC
  gYEA1BnFvPQxbMuT4YNyES6wn++7n4ayIVQ/IRhyU79q8ZJmZbBiu/T/O0SNV8rh
  wR7hd9TQT8hqQSpAgfLQY8+gr0gwCgty7ESps3aRnCEzPxHkIlt9NYxWzC493NLB
  CqjDfzewJXPXLH+L/+HV+YsrZehema/J3ictJK+U+3gwbNkCAwEAAaNTMFEwHQYD
  VR0OBBYEFCViOodD3/DDbQZBn8U9e7Xlz7u7MB8GA1UdIwQYMBaAFCViOodD3/DD
  bQZBn8U9e7Xlz7u7MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADgYEA
  Jh1V59zx2tfAWOonEB0qDQGhYbdg9AYk8lQnjZAcD8ICHuuUz0XFcf9sOFwqUC7r
  yO0lmQDJJtfLoofjgvV59V7fe78y6io8vRLZuXMcwZYr6SfVAj2VamL/H78MXstk
  CszK8IzRptIN2DLLPiyX/VAjPidAC9/MmOWvMKzjggk=
  -----END CERTIFICATE-----
  """
private let weakKey = """
  -----BEGIN PRIVATE KEY-----
  MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBANQZxbz0MWzLk+GD
  chEusJ/vu5+GsiFUPyEYclO/avGSZmWwYrv0/ztEjVfK4cEe4XfU0E/IakEqQIHy
  0GPPoK9IMAoLcuxEqbN2kZwhMz8R5CJbfTWMVswuPdzSwQqow383sCVz1yx/i//h
  1fmLK2XoXpmvyd4nLSSvlPt4MGzZAgMBAAECgYAbZvUAE4BrMOX7JbNP+vtAvoU7
  9/f9jFfXm8Pxg/J6IVLvYllvNRjgfFvScti1zZqNk8YR+K+Zma7Z2xgHPSTiJDVx
  4Nu3OyUa+OLG4pNLRkF7U3ZqSrcbQ7pmRzmvHZeyJbUEmA0TzwSUTNgwwKUidm8c
  ZSUvSq8PxWxPEyU4cQJBAO3DtaM9Qw5b8yKP/hC7a1Rrfxzs/jB6OD1n2EfohPVg
  X0pHOfmW29o9PIkAptIJWIxYJmcpMiraxEMA/AriVI0CQQDkXi1VkR6HO5OUoEw8
  2QHNOyb657lOF7fdb24arMrHh4kaVYezKdrJZYU7P6RFo3wvFB8pf40eoLtquzpP
  orR9AkEAueN3EQcGdCWDc5QsSJyfD0N0AANxwCjt62RS/fVWbhlIpuQE+ZPukzOp
  LluqETBpYGBStfjJViPvqYsNgtzsyQJAGCJTzC0v+r6zFAv0wqF0bUoJDo8aqEQd
  bEtwaWVFcNzEAoJzet27f3k5IU/SfoGOiDMqL+qI8WmvJNJwkSXyyQJBAO22zsDc
  VH5GYkcHvjm9qEyl7GVWETXQoCPuqFDWU3CtNvb1CMrsJMInoSI6h7hfeADxOZlB
  nkCeHwuy+BYngdA=
  -----END PRIVATE KEY-----
  """
