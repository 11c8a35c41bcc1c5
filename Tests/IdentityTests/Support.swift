import Bytes
import Crypto
import Identity

/// A moment at which the tokens of the tests are valid.
let now: Int64 = 1_800_000_000
let secret = [UInt8](64..<96)

func part(_ text: String) -> String { base64URL(Array(text.utf8)) }

/// A token of HS256 with any header and any claims, signed properly.
func signed(
  _ claims: String, header: String = #"{"alg":"HS256","typ":"JWT","kid":"hs"}"#,
  key: [UInt8] = secret
) -> String {
  let input = part(header) + "." + part(claims)
  return input + "." + base64URL(HMACSHA256.authenticate(key: key, message: Array(input.utf8)))
}

func verifier(_ rules: TokenRules = TokenRules()) throws -> TokenVerifier {
  TokenVerifier(
    keys: try TokenKeySet([
      TokenKey(secret: secret, id: "hs"), TokenKey(secret: secret.reversed(), id: "other"),
    ]), rules: rules)
}

extension TokenVerifier {
  func identity(_ token: String, now: Int64 = now) throws(TokenError) -> Identity {
    var identity = try identity(of: Array(token.utf8), now: now)
    // Which key it was is no claim; tests of it ask the verifier itself.
    identity.key = nil
    return identity
  }

  /// Why a connection token is refused, or nil where it isn't.
  func refusal(_ token: String, now: Int64 = now) -> TokenError? {
    do throws(TokenError) {
      _ = try identity(token, now: now)
      return nil
    } catch { return error }
  }

  func grant(_ token: String, now: Int64 = now) throws(TokenError) -> SubscriptionGrant {
    try grant(of: Array(token.utf8), now: now)
  }
}
