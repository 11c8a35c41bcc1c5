import Bytes
import Crypto
import Identity
import Testing

/// Private keys made for these tests with `openssl genpkey`, worth nothing elsewhere.
private let privateES256 = """
  -----BEGIN PRIVATE KEY-----
  MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgR+F9kcCTY4J+79Cw
  Y0L3vrEml8II5leHZZnDeWPz73KhRANCAASaWTMUVZbC+u3Ik6KUlFu7H2TynjdV
  i/DAG1FHWIP1/GczGCyKsdEwQIpNFdVbwKol7pyqkHYllz1ugAkjXpJs
  -----END PRIVATE KEY-----

  """
private let privateEdDSA = """
  -----BEGIN PRIVATE KEY-----
  MC4CAQAwBQYDK2VwBCIEIBPGTf9Uz05SpcPE+R+2VAOTl0NDiR53PBdzwU9Ak2mL
  -----END PRIVATE KEY-----

  """
private let privateRS256 = """
  -----BEGIN PRIVATE KEY-----
  MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC1J5RyeEx8QfbG
  m4BvCZiQNkr3ul19HhdkWKYZVp8rNe0TRI0MdKfKFPasflT5bHR33Bgx5v3eqbDJ
  i8IFxbDadpa9zFKORty3Ivl0S1hWXVm8zQrZsbAGuog2K8cCVV78wszWtBiCeJij
  qlsml3SrEbBWVCzd98d2vj58K8wkyby4CrY5urG/8qeqRZQp75tfGOuXOr3SMcLG
  9Rd2iSdnPqj00Tb+HPLX8iNbERNEgvkZBzRwVAoHq2ixPDzCyv/VVmfL+6FJRuwf
  TCy1Z8DEtodqwZo+iqad587s0BSH0FFxgV4H7mqUkQw6bu9hBpP9WLTsoJZtnH45
  D21A7PnnAgMBAAECggEAK6UJDVkxaECGQYxmcZoYwSnrfurOKl5NGXaIMhOeDo2T
  /C/oYadbY4MQeTeIpn08REJpK+CwqmwstSowSS67cK7gm4K2IyQsegz5l8ytUEV2
  YNfvtMosFDrtpUt/y26hD3mpW1MRkqGWeNwK0O3thGejGfF2y9WuH0wvhsAQk44F
  Q543UqeKfgTm+rxUVOWMWpAUVy3W0ZAT2BZDEWerXPnOSV+PnFfgR1XuKrFz6ClK
  ERumvcc098Ud0YM+PJ1uN1GFO79lftDG48jqp8a+PA/TYgy2x4bY8JevDhgLp1qv
  CAdYyjVCDWe2QwTeSIdaRbu0cEic1kUbwnQRZXMLGQKBgQDhSTNbrfnzotSLNbZe
  7VSUf9SJ6Rn9MuH+yQAommK+s4/Wzig8DO8Uoi0+8Ip1uTrUPE6EqSgbkvZabrHq
  s0hYQ+oB3Ge7VIHQwLcH1yCOuqAiw1bRDjVrEo8tpfCWNcKy4jIhpgXdf560cIR+
  HEl0Hj2IrAZJ/1NeC29JUHa3nwKBgQDN2iIS3GJF/xmzfwlLBhUJOKTgalhlg2LG
  9ukN5csI2LH0NEP4uwTScaAQTbRql4cc3uYJpkaQ4ZQHG5Y7uJBVTknUoLr11Wi0
  NhfO2oKZ0NqAivo4POmTqBDqiDw+6XKU3F1/mAUAULRhjbKM35LZ/aLb9tj6LKvZ
  GRxDh9i4uQKBgC3gnEbVPQtyY1oeDA90wT6kcYHMKHC5hfA+unuKRQWUx3v065if
  AajwBcrFbUzf9az2wv6c+//xg52S4URsUhU3b1YFrlIluXHrbNp54rVuJ+IsaWeV
  PyeY1fNz0XSlagrHqXHUv2kF7inMqA6OcB7ncZx9e6JiDnYeWgFSE3r9AoGAIFFb
  whxJbXXUYiLSoa2txcnX0MfBYwaSjmwbQKxQCO6EWbOO7FDoO+XM3GJmrclmU/kG
  ooMxVvOjWs5Q8sVSG6Jz4ubtE0VS7+ACMt6JXH62nzGygPvHLABZz4hd9P6Pl6FV
  KIAEYP1KpHoriwRauNCiLeh+PiCfRjE0B8IfGzkCgYEAv6OFqhqmJmZiR1ZpT1AG
  LQTlAMdYoZLAI7hGzXQ2Y6qn5KNX4fNRFNGXUlLV9bE+wxcr+GHZI78PhFs22xFR
  2nFY1K8AxKiiavpl72oU/XJzCOqmKGp1v2jmr7lGas0WdOCbP8HrUIHFcVku4TF7
  9vnUBdD+emwJ0u/d3MDHqlA=
  -----END PRIVATE KEY-----

  """
private let publicES256 = """
  -----BEGIN PUBLIC KEY-----
  MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmlkzFFWWwvrtyJOilJRbux9k8p43
  VYvwwBtRR1iD9fxnMxgsirHRMECKTRXVW8CqJe6cqpB2JZc9boAJI16SbA==
  -----END PUBLIC KEY-----

  """
private let publicEdDSA = """
  -----BEGIN PUBLIC KEY-----
  MCowBQYDK2VwAyEATjGCGGhRyBGoyuWhvKDoraeRDH0V2fV5ePTqHzfI8oo=
  -----END PUBLIC KEY-----

  """
private let publicRS256 = """
  -----BEGIN PUBLIC KEY-----
  MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtSeUcnhMfEH2xpuAbwmY
  kDZK97pdfR4XZFimGVafKzXtE0SNDHSnyhT2rH5U+Wx0d9wYMeb93qmwyYvCBcWw
  2naWvcxSjkbctyL5dEtYVl1ZvM0K2bGwBrqINivHAlVe/MLM1rQYgniYo6pbJpd0
  qxGwVlQs3ffHdr4+fCvMJMm8uAq2Obqxv/KnqkWUKe+bXxjrlzq90jHCxvUXdokn
  Zz6o9NE2/hzy1/IjWxETRIL5GQc0cFQKB6tosTw8wsr/1VZny/uhSUbsH0wstWfA
  xLaHasGaPoqmnefO7NAUh9BRcYFeB+5qlJEMOm7vYQaT/Vi07KCWbZx+OQ9tQOz5
  5wIDAQAB
  -----END PUBLIC KEY-----

  """

/// Values whose changes are asked for inside an expectation.
private final class Tickets {
  private(set) var table: TicketTable
  init(countMax: Int = TicketTable.countMax) {
    table = TicketTable(life: .seconds(30), countMax: countMax)
  }
  func issue(_ claims: [UInt8], now: UInt64) -> Ticket? {
    table.issue(TicketContent(claims: claims, key: nil), now: now)
  }
  func redeem(_ digest: [UInt8], now: UInt64) -> [UInt8]? {
    table.redeem(digest, now: now)?.claims
  }
}

private final class Revoked {
  private var all = Revocations()
  var count: Int { all.count }
  @discardableResult
  func add(_ target: Revocation.Target, at: Int64, until: Int64, now: Int64) -> Bool {
    all.add(Revocation(target, at: at, until: until), now: now)
  }
  func forget(now: Int64) { all.forget(now: now) }
  func revokes(_ identity: Identity) -> Bool { all.revokes(identity) }
  func revokes(_ grant: SubscriptionGrant) -> Bool { all.revokes(grant) }
}

@Suite struct SigningTests {
  static let pairs: [(name: String, secret: String, open: String)] = [
    ("ES256", privateES256, publicES256), ("EdDSA", privateEdDSA, publicEdDSA),
    ("RS256", privateRS256, publicRS256),
  ]

  @Test(arguments: 0..<3) func whatItSignsIsVerified(index: Int) throws {
    let pair = Self.pairs[index]
    let signer = try TokenSigner(file: Array(pair.secret.utf8), id: "k")
    #expect(signer.algorithm.rawValue == pair.name)
    let keys = try TokenKeySet(file: Array(pair.open.utf8), id: "k")
    let verifier = TokenVerifier(keys: keys)
    // ECDSA's numbers have leading zeros now and then.
    for count in 0..<64 {
      let claims = Array(#"{"sub":"u\#(count)","exp":1900000000}"#.utf8)
      let token = try #require(signer.sign(claims))
      #expect(try verifier.identity(token).user == "u\(count)")
    }
  }

  @Test func signsWithASecretOfASet() throws {
    let set = Array(
      #"{"keys":[{"kty":"oct","kid":"a","k":"\#(base64URL(secret))"}]}"#.utf8)
    for id in [nil, "a"] as [String?] {
      let token = try #require(
        TokenSigner(file: set, id: id).sign(Array(#"{"exp":1900000000}"#.utf8)))
      #expect(TokenVerifier(keys: try TokenKeySet(file: set)).refusal(token) == nil)
    }
    #expect(throws: TokenKeyError.empty) { try TokenSigner(file: set, id: "b") }
  }

  @Test(arguments: [
    "", "{}", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\n", publicES256, privateES256 + privateES256,
    #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
  ])
  func refusesFilesThatHoldNoPrivateKey(text: String) {
    #expect(throws: TokenKeyError.self) { try TokenSigner(file: Array(text.utf8), id: nil) }
  }

  @Test func printsNoSecret() throws {
    let signer = try TokenSigner(secret: Array("correct horse battery staple, four times".utf8), id: "a")
    let key = try TokenSigner(file: Array(privateEdDSA.utf8), id: "b")
    let table = Tickets()
    let ticket = try #require(table.issue(Array("{}".utf8), now: 0))
    var dumped = "\(signer) \(String(reflecting: signer)) \(key) \(ticket) \(String(reflecting: ticket))"
    dump(signer, to: &dumped)
    dump(key, to: &dumped)
    dump(ticket, to: &dumped)
    dump(table.table, to: &dumped)
    #expect(!dumped.contains("horse") && !dumped.contains("99, 111, 114"))
    #expect(!dumped.contains(ticket.reveal()) && "\(signer)" == "a, HS256")
  }
}

@Suite struct RevocationTests {
  private func identity(
    _ user: String?, token: String? = nil, session: String? = nil, issuedAt: Int64? = nil
  ) -> Identity {
    Identity(user: user, tokenID: token, session: session, issuedAt: issuedAt)
  }

  @Test func namesOneTokenOneSignInOrAUser() {
    let revoked = Revoked()
    for target in [Revocation.Target.token("t1"), .session("s1"), .user("ada")] {
      #expect(revoked.add(target, at: 1_000, until: 2_000, now: 1_000))
    }
    #expect(revoked.revokes(identity("bob", token: "t1")))
    #expect(!revoked.revokes(identity("bob", token: "t2")))
    #expect(revoked.revokes(identity("bob", session: "s1")))
    #expect(!revoked.revokes(identity("t1", token: "s1", session: "ada")))
    #expect(revoked.revokes(identity("ada", issuedAt: 1_000)))
    #expect(!revoked.revokes(identity("ada", issuedAt: 1_001)))
    // Nobody knows when it was issued.
    #expect(revoked.revokes(identity("ada")))
    #expect(!revoked.revokes(identity(nil)))
  }

  @Test func aSubscriptionTokenIsRevokedAlike() throws {
    let revoked = Revoked()
    let grant = try verifier().grant(
      signed(#"{"sub":"ada","channel":"news","exp":1900000000,"jti":"t"}"#))
    #expect(!revoked.revokes(grant))
    revoked.add(.token("t"), at: now, until: now + 10, now: now)
    #expect(revoked.revokes(grant))
  }

  @Test func nothingTakesOneBack() {
    let revoked = Revoked()
    revoked.add(.user("ada"), at: 1_000, until: 9_000, now: 1_000)
    revoked.add(.user("ada"), at: 500, until: 1_500, now: 1_000)
    revoked.forget(now: 8_999)
    #expect(revoked.revokes(identity("ada", issuedAt: 1_000)))
    revoked.forget(now: 9_000)
    #expect(revoked.count == 0)
  }

  @Test func withoutRoomOneIsRefusedAndNoneForgotten() {
    let revoked = Revoked()
    for index in 0..<Revocations.countMax {
      revoked.add(.token("\(index)"), at: 1, until: 100, now: 1)
    }
    #expect(!revoked.add(.token("more"), at: 1, until: 100, now: 1))
    #expect(revoked.revokes(identity(nil, token: "0")))
    #expect(revoked.add(.token("more"), at: 100, until: 200, now: 100))
    #expect(revoked.count == 1)
  }
}

@Suite struct TicketTests {
  private let second: UInt64 = 1_000_000_000

  @Test func isGoodOnceAndForAWhile() throws {
    let table = Tickets()
    let first = try #require(table.issue([1], now: 0))
    let second = try #require(table.issue([2], now: 0))
    #expect(first.reveal() != second.reveal() && first.reveal().utf8.count == 43)
    #expect(table.redeem(first.digest, now: 29 * self.second) == [1])
    #expect(table.redeem(first.digest, now: 29 * self.second) == nil)
    #expect(table.redeem(second.digest, now: 30 * self.second) == nil)
    #expect(Ticket.digest(shown: first.reveal()) == first.digest)
    #expect(Ticket.digest(shown: "") == nil)
  }

  @Test func isBoundInNumberAndMakesRoomAgain() throws {
    let table = Tickets(countMax: 100)
    var digests: [[UInt8]] = []
    for index in 0..<100 {
      digests.append(try #require(table.issue([UInt8(index)], now: second)).digest)
    }
    #expect(table.issue([0], now: second) == nil)
    #expect(table.redeem(digests[50], now: second) == [50])
    #expect(table.issue([0], now: second) != nil)
    #expect(table.issue([0], now: 31 * second - 1) == nil)
    #expect(table.issue([0], now: 31 * second) != nil)
    #expect(table.table.count == 1)
    #expect(table.issue([UInt8](repeating: 0, count: 8_193), now: 31 * second) == nil)
  }

  /// Reliability catalogue, row 99.
  @Test func aHundredThousandTriesOpenNothing() throws {
    let table = Tickets()
    for _ in 0..<1_000 { _ = table.issue([1], now: 0) }
    for try_ in 0..<100_000 {
      let shown = base64URL(SystemRandom.bytes(32))
      guard let digest = Ticket.digest(shown: shown), table.redeem(digest, now: 1) == nil else {
        Issue.record("try \(try_) opened a ticket")
        return
      }
    }
    #expect(table.table.count == 1_000)
  }

  @Test func whatItStandsForIsReadLikeClaims() throws {
    let claims = Array(#"{"sub":"ada","exp":1800000010,"aud":"app","iss":"x"}"#.utf8)
    #expect(try Identity(trusted: claims, now: now).user == "ada")
    #expect(throws: TokenError.expired) { try Identity(trusted: claims, now: now + 10) }
    #expect(throws: TokenError.malformed) { try Identity(trusted: [], now: now) }
    let token = signed(#"{"sub":"ada","exp":1800000010}"#)
    let (verified, key) = try verifier().claims(of: Array(token.utf8), now: now)
    #expect(try verifier().keys.contains(key))
    #expect(try Identity(trusted: verified, now: now).user == "ada")
  }
}
