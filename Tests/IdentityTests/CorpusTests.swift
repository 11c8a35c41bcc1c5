import Bytes
import Crypto
import Identity
import Testing

/// Reliability catalogue, rows 88 to 92: everything that can be wrong with a token, with everything
/// else that can be. None of them is accepted.
@Suite struct CorpusTests {
  private static let goodHeader = #"{"alg":"HS256","typ":"JWT","kid":"hs"}"#
  private static let goodClaims = #"{"sub":"ada","exp":1900000000,"iat":1799999990}"#

  /// Headers of which no token is good, however it is signed.
  private static let headers: [String] = {
    var headers: [String] = []
    for name in ["none", "None", "nOnE", "NONE", "", "HS1", "HS384", "HS512", "RS256", "RS512",
      "ES256", "ES256K", "ES384", "PS256", "EdDSA", "Ed25519", "dir", "A256KW", "hs256", "HS256\\u0000"] {
      headers.append(#"{"alg":"\#(name)","typ":"JWT","kid":"hs"}"#)
      headers.append(#"{"alg":"\#(name)","typ":"JWT"}"#)
    }
    for kid in ["", "HS", "hs ", "../hs", "/dev/null", "file:///etc/passwd", "http://127.0.0.1/k",
      "' OR '1'='1", "hs\\u0000", "hs%00", "%68%73", String(repeating: "h", count: 129)] {
      headers.append(#"{"alg":"HS256","typ":"JWT","kid":"\#(kid)"}"#)
    }
    for more in [#""crit":[]"#, #""crit":["exp"]"#, #""b64":true"#, #""zip":"DEF""#, #""enc":"A128GCM""#,
      #""cty":"JWT""#, #""alg":"none""#, #""kid":"other""#, #""typ":"JWT""#] {
      headers.append(#"{"alg":"HS256","typ":"JWT","kid":"hs",\#(more)}"#)
      headers.append(#"{\#(more),"alg":"HS256","typ":"JWT","kid":"hs"}"#)
    }
    for type in [#""at+jwt""#, #""""#, #""JOSE""#, "null", "1", #"["JWT"]"#] {
      headers.append(#"{"alg":"HS256","typ":\#(type),"kid":"hs"}"#)
    }
    return headers + [
      "", "{}", "[]", "null", "1", #""HS256""#, "{", #"{"alg"}"#, #"{"alg":"HS256"} "x""#,
      #"{"alg":"HS256","kid":"hs"}"#, #"{"typ":"JWT","kid":"hs"}"#, "\u{feff}" + goodHeader,
      #"{'alg':'HS256','typ':'JWT','kid':'hs'}"#, goodHeader + ",", "[" + goodHeader + "]",
    ]
  }()

  /// Claims that say nothing, too much, or something that is over.
  private static let claims: [String] = {
    var claims: [String] = []
    for end in ["0", "-1", "1799999990", "1799999000", "1e3", "1e300", "1e309", "-1e9", "null", "true",
      #""1900000000""#, "[1900000000]", #"{"a":1}"#, "99999999999999999999", "253402300800"] {
      claims.append(#"{"sub":"ada","exp":\#(end)}"#)
    }
    for (name, values) in [
      ("nbf", ["1800000100", "1e300", #""0""#, "-1", "null"]),
      ("iat", ["1800000100", "1e300", #""0""#, "-1", "false"]),
      ("sub", ["1", "null", "[]", #""a\u0000""#, #""a\n""#, #""\#(String(repeating: "a", count: 256))""#]),
      ("roles", [#""admin""#, "[1]", #"[""]"#, "{}", "[null]"]),
      ("channels", ["1", #"["a b"]"#, #"["*"]"#, "[[]]"]), ("aud", [#""app""#, "[]", "1", "{}"]),
      ("caps", ["{}", "[1]", #"[{"channels":["a"],"allow":["root"]}]"#, #"[{"channels":[1]}]"#]),
      ("jti", ["1", "[]", #""\u0007""#]), ("sid", ["1", "{}"]), ("channel", ["1", "null", #""a b""#]),
    ] {
      for value in values { claims.append(#"{"exp":1900000000,"\#(name)":\#(value)}"#) }
    }
    return claims + [
      "", "{}", "[]", "null", "{", goodClaims + " x", "[" + goodClaims + "]", #"{"exp":1900000000,}"#,
      #"{"exp":1900000000,"exp":1900000000}"#, #"{"exp":1900000000,"\u0065xp":1}"#, "\u{feff}" + goodClaims,
      String(repeating: "[", count: 400),
    ]
  }()

  private static func part(_ text: String) -> String { base64URL(Array(text.utf8)) }

  /// A whole token's ways to be broken after it was signed.
  private static func broken(_ token: String) -> [String] {
    let parts = token.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let (head, body, tag) = (parts[0], parts[1], parts[2])
    return [
      "\(head).\(body)", "\(head).\(body).", ".\(body).\(tag)", "\(head)..\(tag)", "\(head).\(tag)",
      token + ".", token + "." + tag, "." + token, token + "=", token + "==", token + " ", " " + token,
      token + "\n", token + "\0", token + "A", String(token.dropLast()), String(token.dropFirst()),
      token.uppercased(), token.lowercased(), "\(body).\(head).\(tag)", "\(head).\(body).\(body)",
      "\(head).\(body).\(String(tag.reversed()))", "\(head).\(body).\(tag.prefix(22))",
      "\(head).\(body).\(base64URL([UInt8](repeating: 0, count: 32)))", "\(head),\(body),\(tag)",
      "\(head).\(body).\(tag)\(tag)", "Bearer \(token)", "\"\(token)\"", "\(head)\n.\(body).\(tag)",
      token.replacing("e", with: "%65"),
    ]
  }

  private static let tokens: [String] = {
    var tokens: [String] = []
    for header in headers { tokens.append(signed(goodClaims, header: header)) }
    for claims in claims { tokens.append(signed(claims)) }
    // Each wrong header over each of some wrong claims, by a right and by a wrong key.
    for (index, header) in headers.enumerated() {
      tokens.append(signed(claims[index % claims.count], header: header))
      tokens.append(signed(goodClaims, header: header, key: [UInt8](repeating: 1, count: 32)))
      tokens.append(signed(goodClaims, header: header, key: []))
      tokens.append("\(part(header)).\(part(goodClaims)).")
    }
    for key in [[], [0], Array("secret".utf8), secret.reversed() + [0], Array(secret.dropLast())] {
      tokens.append(signed(goodClaims, key: key))
    }
    return tokens + broken(signed(goodClaims)) + broken(signed(goodClaims, header: headers[0]))
  }()

  @Test func noneOfThemIsAccepted() throws {
    let verifier = try verifier()
    #expect(verifier.refusal(signed(Self.goodClaims)) == nil)
    let distinct = Set(Self.tokens)
    #expect(distinct.count >= 500)
    var accepted = 0
    for token in distinct {
      if verifier.refusal(token) == nil {
        accepted += 1
        Issue.record("accepted: \(token)")
      }
      #expect(throws: TokenError.self) { try verifier.grant(token) }
    }
    print("hostile tokens: \(distinct.count), accepted: \(accepted)")
  }
}
