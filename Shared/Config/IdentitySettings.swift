/// The algorithms that tokens may be signed with (RFC 7518 §3, RFC 8037 §3.1).
public enum SigningAlgorithm: String, Sendable, CaseIterable, Hashable {
  case hs256 = "HS256"
  case es256 = "ES256"
  case edDSA = "EdDSA"
  case rs256 = "RS256"
}

/// The section `identity`: whose tokens are believed, and what they have to say.
public struct IdentitySettings: Sendable, Equatable {
  /// Key sets (RFC 7517 §5) or public keys in PEM; none: nobody signs in with a token.
  public var keyFiles: [String] = []
  /// The algorithms that keys of the files may have; empty: all that are known here.
  public var algorithms: [SigningAlgorithm] = []
  /// What `iss` has to be; nil: any issuer that has a key.
  public var issuer: String?
  /// What `aud` has to name; nil: a token that names an audience is meant for someone else.
  public var audience: String?
  /// What the header's `typ` has to be.
  public var type = "JWT"
  /// How far the clocks of the issuer and of this machine may differ.
  public var leeway: Duration = .seconds(10)
  /// Whether a client has to be signed in before it can do anything.
  public var isRequired = false
  /// How long a client that has to sign in may take to do so.
  public var connectTimeout: Duration = .seconds(5)
  /// How long a one-time ticket is good.
  public var ticketTTL: Duration = .seconds(30)
  /// A directory where gateways of one machine find each other's tickets; nil: each has its own.
  public var ticketDirectory: String?
  /// How long a revocation is remembered where it does not say: no token should live longer.
  public var revocationTTL: Duration = .seconds(86_400)

  public init() {}
}

extension IdentitySettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "identity", &reading)
    keyFiles =
      reader.list("keyFiles", &reading) { value throws(Refused) in try value.text() } ?? []
    algorithms =
      reader.list("algorithms", &reading, ifEmpty: "name an algorithm, or leave the key out") {
        value throws(Refused) in try value.choice(of: SigningAlgorithm.self)
      } ?? []
    issuer = reader.text("issuer", &reading)
    audience = reader.text("audience", &reading)
    type = reader.text("type", &reading) ?? type
    leeway = reader.duration("leeway", in: 0...30_000, &reading) ?? leeway
    isRequired =
      reader.read("required", &reading) { value throws(Refused) in try value.bool() } ?? false
    connectTimeout =
      reader.duration("connectTimeout", in: 100...60_000, &reading) ?? connectTimeout
    ticketTTL = reader.duration("ticketTTL", in: 1_000...300_000, &reading) ?? ticketTTL
    ticketDirectory = reader.text("ticketDirectory", &reading)
    revocationTTL =
      reader.duration("revocationTTL", in: 60_000...(30 * 86_400_000), &reading) ?? revocationTTL
    reader.finish(&reading)
  }
}
