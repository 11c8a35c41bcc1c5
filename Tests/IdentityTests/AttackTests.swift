import Bytes
import Crypto
import Identity
import Testing

/// What PyJWT signed, and what PyJWT would not have.
@Suite struct ForeignTokenTests {
  private func foreign() throws -> TokenVerifier {
    TokenVerifier(
      keys: try TokenKeySet(file: Array(pyJWTSet.utf8)),
      rules: TokenRules(issuer: "https://id.example", audience: "sapphire"))
  }

  private let identity = Identity(
    user: "ada", roles: ["admin"], info: Array(#"{"name":"Ada"}"#.utf8), tokenID: "t-1",
    issuedAt: 1_700_000_000, expiresAt: 4_102_444_800)

  @Test(arguments: ["HS256", "ES256", "EdDSA", "RS256"])
  func agreesWithPyJWT(algorithm: String) throws {
    let token = try #require(pyJWTTokens[algorithm])
    #expect(try foreign().identity(token) == identity)
  }

  /// Every character of every token, changed to two others, left out and doubled: none is accepted.
  @Test(arguments: ["HS256", "ES256", "EdDSA", "RS256"])
  func acceptsNoOtherSpelling(algorithm: String) throws {
    let verifier = try foreign()
    let token = Array(try #require(pyJWTTokens[algorithm]).utf8)
    var tried = 0
    // RSA and ECDSA are slow: a part of the places.
    for index in stride(from: 0, to: token.count, by: algorithm == "HS256" ? 1 : 7) {
      for other in [UInt8(ascii: "A"), UInt8(ascii: "_"), UInt8(ascii: "="), UInt8(ascii: ".")]
      where other != token[index] {
        var changed = token
        changed[index] = other
        tried += 1
        #expect(throws: TokenError.self) { try verifier.identity(of: changed, now: now) }
      }
      var shorter = token
      shorter.remove(at: index)
      var longer = token
      longer.insert(token[index], at: index)
      for changed in [shorter, longer] {
        tried += 1
        #expect(throws: TokenError.self) { try verifier.identity(of: changed, now: now) }
      }
    }
    #expect(tried > 250)
  }

  @Test func readsPEM() throws {
    let rules = TokenRules(issuer: "https://id.example", audience: "sapphire")
    let token = try #require(pyJWTTokens["ES256"])
    let named = try TokenKeySet(file: Array(pyJWTPEMOfES256.utf8), id: "es")
    #expect(try TokenVerifier(keys: named, rules: rules).identity(token) == identity)
    let unnamed = try TokenKeySet(file: Array(pyJWTPEMOfES256.utf8))
    #expect(TokenVerifier(keys: unnamed, rules: rules).refusal(token) == .unknownKey)
    #expect(try TokenVerifier(keys: unnamed, rules: rules).identity(tokenWithoutKeyID) == identity)
    #expect(try TokenVerifier(keys: named, rules: rules).identity(tokenWithoutKeyID) == identity)
    let rsa = try TokenKeySet(file: Array(pyJWTPEMOfRS256.utf8), id: "rs")
    #expect(rsa.all.map(\.algorithm) == [.rs256])
  }

  /// Reliability catalogue, row 89: the public key as the secret of an HMAC.
  @Test func aPublicKeyIsNoSecret() throws {
    let verifier = try foreign()
    let pem = Array(pyJWTPEMOfRS256.utf8)
    let claims = #"{"exp":1900000000,"aud":"sapphire","iss":"https://id.example"}"#
    for kid in ["rs", "es", "ed"] {
      let header = #"{"alg":"HS256","typ":"JWT","kid":"\#(kid)"}"#
      for key in [pem, Array(pem.dropLast()), Array(pyJWTPEMOfES256.utf8), []] {
        #expect(verifier.refusal(signed(claims, header: header, key: key)) == .wrongAlgorithm)
      }
    }
  }

  @Test func aSignatureBelongsToItsKey() throws {
    let verifier = try foreign()
    for (algorithm, token) in pyJWTTokens {
      for (other, kid) in [("ES256", "es"), ("EdDSA", "ed"), ("RS256", "rs"), ("HS256", "hs")]
      where other != algorithm {
        let parts = token.split(separator: ".")
        let header = part(#"{"alg":"\#(other)","typ":"JWT","kid":"\#(kid)"}"#)
        #expect(verifier.refusal("\(header).\(parts[1]).\(parts[2])") == .invalidSignature)
      }
    }
  }

  /// Row 92: a signature of ECDSA as ASN.1 has it, and zeros.
  @Test func anotherFormOfSignatureIsNone() throws {
    let verifier = try foreign()
    let token = try #require(pyJWTTokens["ES256"])
    let parts = token.split(separator: ".").map(String.init)
    let signature = try #require(bytes(base64: parts[2]))
    func number(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
      let content = bytes.first.map { $0 >= 0x80 } ?? false ? [0] + bytes : Array(bytes)
      return [2, UInt8(content.count)] + content
    }
    let numbers = number(signature[..<32]) + number(signature[32...])
    let der = [0x30, UInt8(numbers.count)] + numbers
    for forged in [der, [UInt8](repeating: 0, count: 64), [], Array(signature[..<32])] {
      let other = parts[0] + "." + parts[1] + "." + base64URL(forged)
      #expect(verifier.refusal(other) == .invalidSignature)
    }
  }
}

/// Reliability catalogue, rows 88 to 91, signed with the right key wherever that is possible.
@Suite struct HostileHeaderTests {
  private let claims = #"{"exp":1900000000}"#

  @Test(arguments: [
    (#"{"alg":"none","typ":"JWT","kid":"hs"}"#, TokenError.wrongAlgorithm),
    (#"{"alg":"None","typ":"JWT","kid":"hs"}"#, .wrongAlgorithm),
    (#"{"alg":"nOnE","typ":"JWT","kid":"hs"}"#, .wrongAlgorithm),
    (#"{"alg":"hs256","typ":"JWT","kid":"hs"}"#, .wrongAlgorithm),
    (#"{"alg":"HS256 ","typ":"JWT","kid":"hs"}"#, .wrongAlgorithm),
    (#"{"alg":"HS512","typ":"JWT","kid":"hs"}"#, .wrongAlgorithm),
    (#"{"alg":"","typ":"JWT","kid":"hs"}"#, .wrongAlgorithm),
    (#"{"alg":["HS256"],"typ":"JWT","kid":"hs"}"#, .malformed),
    (#"{"alg":null,"typ":"JWT","kid":"hs"}"#, .malformed),
    (#"{"typ":"JWT","kid":"hs"}"#, .malformed),
    (#"{"alg":"HS256","alg":"HS256","typ":"JWT","kid":"hs"}"#, .malformed),
    (#"{"alg":"HS256","typ":"JWT","kid":"hs","\u006bid":"other"}"#, .malformed),
    (#"{"alg":"HS256","kid":"hs"}"#, .wrongType),
    (#"{"alg":"HS256","typ":"at+jwt","kid":"hs"}"#, .wrongType),
    (#"{"alg":"HS256","typ":"","kid":"hs"}"#, .wrongType),
    (#"{"alg":"HS256","typ":["JWT"],"kid":"hs"}"#, .wrongType),
    (#"{"alg":"HS256","typ":"JWT","kid":""}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":"HS"}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":"hs\u0000"}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":"' OR 1=1 --"}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":"http://evil.example/k"}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":["hs"]}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":null}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":0}"#, .unknownKey),
    (#"{"alg":"HS256","typ":"JWT","kid":"hs","crit":[]}"#, .unsupportedHeader),
    (#"{"alg":"HS256","typ":"JWT","kid":"hs","crit":["exp"]}"#, .unsupportedHeader),
    (#"{"alg":"HS256","typ":"JWT","kid":"hs","b64":false}"#, .unsupportedHeader),
    (#"{"alg":"HS256","typ":"JWT","kid":"hs","cty":"JWT"}"#, .unsupportedHeader),
    (#"{"alg":"dir","typ":"JWT","kid":"hs","enc":"A256GCM"}"#, .unsupportedHeader),
    (#"{"alg":"HS256","typ":"JWT","kid":"hs","zip":"DEF"}"#, .unsupportedHeader),
    (#"{"alg":"HS256","typ":"JWT","kid":"other"}"#, .invalidSignature),
    (#"["HS256"]"#, .malformed), ("", .malformed), ("{", .malformed),
  ])
  func refuses(header: String, error: TokenError) throws {
    #expect(try verifier().refusal(signed(claims, header: header)) == error)
  }

  @Test func refusesAKeyIDOfAnyLength() throws {
    for count in [129, 4_000] {
      let header = #"{"alg":"HS256","typ":"JWT","kid":"\#(String(repeating: "k", count: count))"}"#
      #expect(try verifier().refusal(signed(claims, header: header)) == .unknownKey)
    }
  }

  @Test func ignoresKeysThatATokenBrings() throws {
    let evil = base64URL([UInt8](repeating: 1, count: 32))
    let header = #"""
      {"alg":"HS256","typ":"JWT","kid":"hs","jku":"http://127.0.0.1:1/","x5u":"file:///etc/passwd",
       "jwk":{"kty":"oct","k":"\#(evil)"},"x5c":["AAAA"]}
      """#
    #expect(try verifier().refusal(signed(claims, header: header)) == nil)
    let forged = signed(claims, header: header, key: [UInt8](repeating: 1, count: 32))
    #expect(try verifier().refusal(forged) == .invalidSignature)
  }

  @Test func typeIsComparedWithoutCase() throws {
    #expect(
      try verifier().refusal(signed(claims, header: #"{"alg":"HS256","typ":"jwt","kid":"hs"}"#))
        == nil)
    #expect(
      try verifier(TokenRules(type: "at+jwt")).refusal(
        signed(claims, header: #"{"alg":"HS256","typ":"AT+JWT","kid":"hs"}"#)) == nil)
  }

  @Test func itsShapeIsThreeParts() throws {
    let verifier = try verifier()
    let token = signed(claims)
    let parts = token.split(separator: ".").map(String.init)
    let nested = signed(#"{"exp":1900000000,"x":"\#(token)"}"#)
    #expect(verifier.refusal(nested) == nil)
    let shapes = [
      "", ".", "..", "...", "....", "a.b.c", parts[0], parts[0] + "." + parts[1],
      parts[0] + "." + parts[1] + ".", token + ".", "." + token, token + "..", token + "\n",
      " " + token, token + "=", token + "\0", parts[0] + ".." + parts[2], token + "." + token,
      parts[0] + "." + parts[1] + "=." + parts[2], "Bearer " + token, "\"" + token + "\"",
      parts[0] + "+." + parts[1] + "." + parts[2], String(repeating: ".", count: 8_000),
      part(token) + "." + parts[1] + "." + parts[2],
    ]
    for shape in shapes { #expect(verifier.refusal(shape) != nil, "\(shape.debugDescription)") }
    #expect(verifier.refusal(String(repeating: "a", count: 8_193)) == .tooLong)
    #expect(verifier.refusal(String(repeating: "a", count: 8_192)) == .malformed)
  }

  @Test func aTokenOfTheLargestSizeIsRead() throws {
    let rest = String(repeating: "x", count: 6_000)
    let token = signed(#"{"exp":1900000000,"x":"\#(rest)"}"#)
    #expect(token.utf8.count <= 8_192 && token.utf8.count > 8_000)
    #expect(try verifier().refusal(token) == nil)
  }

  @Test func everyErrorHasATextThatTellsNothingOfTheToken() {
    var texts: Set<String> = []
    for error in TokenError.allCases { texts.insert(error.text) }
    #expect(texts.count == TokenError.allCases.count)
  }
}

@Suite struct KeySetTests {
  private func failure(_ text: String) -> TokenKeyError? {
    do throws(TokenKeyError) {
      _ = try TokenKeySet(file: Array(text.utf8))
      return nil
    } catch { return error }
  }

  @Test func rotatesByOverlap() throws {
    let old = try TokenKey(secret: secret, id: "2025")
    let new = try TokenKey(secret: secret.reversed(), id: "2026")
    let claims = #"{"exp":1900000000}"#
    let tokens = [
      signed(claims, header: #"{"alg":"HS256","typ":"JWT","kid":"2025"}"#),
      signed(claims, header: #"{"alg":"HS256","typ":"JWT","kid":"2026"}"#, key: secret.reversed()),
    ]
    var verifier = TokenVerifier(keys: try TokenKeySet([old]))
    #expect(tokens.map { verifier.refusal($0) } == [nil, .unknownKey])
    verifier.keys = try TokenKeySet([old, new])
    #expect(tokens.map { verifier.refusal($0) } == [nil, nil])
    verifier.keys = try TokenKeySet([new])
    #expect(tokens.map { verifier.refusal($0) } == [.unknownKey, nil])
  }

  /// Rotation by overlapping for an issuer that names no keys: a token is held against the keys of its
  /// algorithm, and against no other.
  @Test func tokensWithoutAKeyIDAreHeldAgainstTheFewKeysOfTheirAlgorithm() throws {
    let old = try TokenKey(secret: secret, id: "2025")
    let new = try TokenKey(secret: Array(secret.reversed()), id: "2026")
    let claims = #"{"sub":"ada","exp":1900000000}"#
    let header = #"{"alg":"HS256","typ":"JWT"}"#
    let tokens = [
      signed(claims, header: header), signed(claims, header: header, key: secret.reversed()),
      signed(claims, header: header, key: [UInt8](repeating: 1, count: 32)),
    ]
    var verifier = TokenVerifier(keys: try TokenKeySet([old]))
    #expect(tokens.map { verifier.refusal($0) } == [nil, .invalidSignature, .invalidSignature])
    verifier.keys = try TokenKeySet([old, new])
    #expect(tokens.map { verifier.refusal($0) } == [nil, nil, .invalidSignature])
    verifier.keys = try TokenKeySet([new])
    #expect(tokens.map { verifier.refusal($0) } == [.invalidSignature, nil, .invalidSignature])
    // Of one that is named no other is tried.
    verifier.keys = try TokenKeySet([old, new])
    let named = signed(claims, header: #"{"alg":"HS256","typ":"JWT","kid":"2026"}"#)
    #expect(verifier.refusal(named) == .invalidSignature)
    // Of too many none is tried.
    let many = try (0..<4).map { try TokenKey(secret: [UInt8](repeating: $0 + 2, count: 32), id: "\($0)") }
    verifier.keys = try TokenKeySet(many + [old])
    #expect(verifier.refusal(tokens[0]) == .unknownKey)
  }

  /// A public key is no secret, whoever names it or doesn't.
  @Test func aPublicKeyIsNoSecretForATokenThatNamesNone() throws {
    let keys = try TokenKeySet(file: Array(pyJWTPEMOfES256.utf8), id: "es")
    let claims = #"{"sub":"ada","exp":1900000000}"#
    for secret in [Array(pyJWTPEMOfES256.utf8), Array(pyJWTPEMOfES256.utf8.dropLast())] {
      let forged = signed(claims, header: #"{"alg":"HS256","typ":"JWT"}"#, key: secret)
      #expect(TokenVerifier(keys: keys).refusal(forged) == .wrongAlgorithm)
    }
  }

  @Test func refusesWeakKeys() throws {
    #expect(throws: TokenKeyError.self) { try TokenKey(secret: Array(secret.dropLast()), id: nil) }
    #expect(throws: TokenKeyError.self) { try TokenKey(secret: [], id: nil) }
    guard case .weak? = failure(#"{"keys":[\#(weakRSA)]}"#) else {
      Issue.record("1,024 bits of RSA are accepted")
      return
    }
  }

  @Test func refusesSetsThatAreNotClear() throws {
    let key = try TokenKey(secret: secret, id: nil)
    let named = try TokenKey(secret: secret, id: "a")
    #expect(throws: TokenKeyError.ambiguous) { try TokenKeySet([key, key]) }
    #expect(try TokenKeySet([key, named]).count == 2)
    #expect(throws: TokenKeyError.ambiguous) { try TokenKeySet([named, named]) }
    #expect(throws: TokenKeyError.empty) { try TokenKeySet([]) }
    let many = try (0..<65).map { try TokenKey(secret: secret, id: "\($0)") }
    #expect(throws: TokenKeyError.tooMany) { try TokenKeySet(many) }
  }

  @Test(arguments: [
    "", "{}", "[]", #"{"keys":{}}"#, #"{"keys":[1]}"#, #"{"keys":[]}"#,
    #"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#, #"{"keys":[{"kty":"oct","kid":"a"}]}"#,
    #"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}]}"#,
    #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AA=="}]}"#,
    #"{"keys":[{"kty":"oct","kid":"","k":"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8"}]}"#,
    #"{"keys":[{"kty":"oct","kid":7,"k":"QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8"}]}"#,
    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\n",
  ])
  func refusesFilesThatHoldNoKey(text: String) {
    #expect(failure(text) != nil)
  }

  @Test func leavesOutWhatIsForSomethingElseAndSaysSo() throws {
    let k = base64URL(secret)
    let set = try TokenKeySet(
      file: Array(
        #"""
        {"keys":[{"kty":"oct","kid":"good","k":"\#(k)","alg":"HS256","use":"sig"},
          {"kty":"oct","kid":"enc","k":"\#(k)","use":"enc"},
          {"kty":"oct","kid":"hs512","k":"\#(k)","alg":"HS512"},
          {"kty":"EC","crv":"P-384","kid":"p384","x":"AA","y":"AA"}]}
        """#.utf8))
    #expect(set.all.map(\.id) == ["good"])
    #expect(set.ignored == ["enc", "hs512", "p384"])
  }

  @Test func refusesPrivateKeys() throws {
    let text = pyJWTSet.split(separator: "\n").first { $0.contains("Ed25519") }.map(String.init)
    let key = try #require(text).drop { $0 != "{" }.prefix { $0 != "}" }
    #expect(failure(#"{"keys":[\#(key)}]}"#) == nil)
    #expect(failure(#"{"keys":[\#(key),"d":"AAAA"}]}"#) != nil)
  }

  @Test func printsNoSecret() throws {
    let key = try TokenKey(secret: Array("correct horse battery staple, four times".utf8), id: "a")
    var dumped = ""
    dump(key, to: &dumped)
    let set = try TokenKeySet([key])
    dump(set, to: &dumped)
    dumped += "\(key) \(String(reflecting: key)) \(set) \(String(reflecting: set))"
    dumped += String(describing: TokenVerifier(keys: set))
    #expect(!dumped.contains("horse"))
    #expect(!dumped.contains("99, 111, 114"))
    #expect("\(key)" == "a, HS256")
  }
}
