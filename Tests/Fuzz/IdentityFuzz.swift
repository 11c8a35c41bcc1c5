import Bytes
import Config
import Crypto
import Identity

private let secret = [UInt8](0..<32)
private let now: Int64 = 1_800_000_000
private let rules = TokenRules(audience: "a")

/// One input as a whole token, as claims and as a header that are signed properly, as a key set and
/// as a file of API keys.
func fuzzIdentity(_ input: [UInt8]) {
  guard let key = try? TokenKey(secret: secret, id: "k"), let keys = try? TokenKeySet([key]) else {
    return require(false, "the key of this target is none")
  }
  let verifier = TokenVerifier(keys: keys, rules: rules)
  wholeToken(input, verifier)
  claims(input, verifier)
  header(input, verifier)
  _ = try? TokenKeySet(file: input)
  _ = try? TokenSigner(file: input, id: nil)
  keyFile(input)
}

private func signed(_ header: [UInt8], _ claims: [UInt8]) -> [UInt8] {
  let message = Array((base64URL(header) + "." + base64URL(claims)).utf8)
  let tag = HMACSHA256.authenticate(key: secret, message: message)
  return message + Array(("." + base64URL(tag)).utf8)
}

/// Nobody makes a token without the key: what is accepted ends in the tag of what stands before it.
private func wholeToken(_ token: [UInt8], _ verifier: TokenVerifier) {
  guard (try? verifier.identity(of: token, now: now)) != nil,
    let end = token.lastIndex(of: UInt8(ascii: "."))
  else { return }
  let tag = HMACSHA256.authenticate(key: secret, message: Array(token[..<end]))
  require(
    Array(token[(end + 1)...]) == Array(base64URL(tag).utf8), "a token that was not signed is accepted")
}

/// What a good signature stands under is bounded all the same, and has one purpose.
private func claims(_ input: [UInt8], _ verifier: TokenVerifier) {
  let token = signed(Array(#"{"alg":"HS256","typ":"JWT","kid":"k"}"#.utf8), input)
  let identity = try? verifier.identity(of: token, now: now)
  let grant = try? verifier.grant(of: token, now: now)
  require(identity == nil || grant == nil, "one token for two purposes")
  if let identity {
    require(identity.roles.count <= TokenLimits.rolesMax, "too many roles")
    require((identity.user?.utf8.count ?? 0) <= TokenLimits.userBytesMax, "a user too long")
    require(identity.channels.count <= TokenLimits.channelsMax, "too many channels")
    require(identity.expiresAt.map { $0 > now - 31 } ?? true, "an identity that has ended")
    var trusted = try? Identity(trusted: input, leewaySeconds: 10, now: now)
    trusted?.key = identity.key
    require(identity.key != nil && trusted == identity, "another reading")
    require((try? verifier.claims(of: token, now: now))?.0 == input, "other claims")
  }
}

/// The key decides the algorithm, whatever a header says.
private func header(_ input: [UInt8], _ verifier: TokenVerifier) {
  let token = signed(input, Array(#"{"exp":1900000000,"aud":"a"}"#.utf8))
  guard (try? verifier.identity(of: token, now: now)) != nil else { return }
  let text = String(decoding: input, as: UTF8.self)
  require(text.contains("HS256") || text.contains("\\u"), "another algorithm is accepted")
}

/// What a line of a key file stands for is written and read alike.
private func keyFile(_ input: [UInt8]) {
  guard let file = try? APIKeyFile(input, file: "f") else { return }
  for case (_, .digest(let rule)) in file.entries {
    let again = try? APIKeyFile(Array(APIKeyFile.line(rule).utf8), file: "f")
    require(again?.entries.first?.entry == .digest(rule), "a key is not read as it was written")
  }
}
