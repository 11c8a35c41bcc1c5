internal import Bytes
internal import Config
internal import Crypto
internal import Identity
internal import JSON
internal import Platform

/// `sapphire token`: makes and checks tokens, for trying out and for small back ends. Keys and
/// tokens are read from files and standard input, never from the command line.
enum TokenCommands {
  static let make = Command(
    name: "token make", summary: "signs a token and prints it",
    usage: "--key FILE [--user NAME] [--roles LIST] [--expires 1h]",
    details: """
      Signs with a private key in PEM (P-256, Ed25519, RSA) or with a secret of a JWK Set, such
      as `sapphire token key` makes. Prints the token alone, for a variable or a pipe. With
      --channel it is a subscription token, else one to connect with.

      Other claims are taken from a JSON object, in a file or on standard input (`-`).

      Examples:
        sapphire token make --key tokens.jwks --user ada --roles admin,staff
        sapphire token make --key es256.pem --id 2026 --user ada --channel dialog#ada
        echo '{"caps":[{"channels":["log:*"],"allow":["sub"]}]}' | \\
          sapphire token make --key tokens.jwks --user ada --claims -
      """,
    options: [
      .value("--key", "FILE", "what to sign with; needed"),
      .value("--id", "KID", "which key of a set; the kid that goes with a PEM file"),
      .value("--user", "NAME", "sub"), .value("--roles", "LIST", "roles, divided by commas"),
      .value("--info", "JSON", "what others are shown of the client"),
      .value("--channel", "NAME", "a subscription token for this channel"),
      .value("--expires", "TIME", "how long it holds, such as 15m (1h)"),
      .value("--session", "SID", "sid, to revoke all tokens of one sign-in"),
      .value("--issuer", "TEXT", "iss"), .value("--audience", "TEXT", "aud"),
      .value("--claims", "FILE", "other claims, a JSON object; - is standard input"),
    ], run: runMake)

  static let verify = Command(
    name: "token verify", summary: "checks the token on standard input",
    usage: "[--config FILE] [--keys FILE]",
    details: """
      Reads one token from standard input, checks it as the gateway would and prints its claims;
      or says why it is refused and exits 77. Keys and rules are those of the configuration.

      Example:
        sapphire token make --key tokens.jwks --user ada | sapphire token verify --keys tokens.jwks
      """,
    options: [
      .value("--config", "FILE", "the configuration, for its section identity"),
      .value("--keys", "FILE", "a key set in place of the configuration's"),
      .value("--issuer", "TEXT", "what iss has to be"),
      .value("--audience", "TEXT", "what aud has to name"),
    ], run: runVerify)

  static let key = Command(
    name: "token key", summary: "makes a key set with a new secret for HS256",
    usage: "FILE [--id KID]",
    details: """
      Writes a JWK Set with one secret of 256 random bits, for its owner alone; a file that is
      there already is not touched. Both who signs and the gateway need it. With a key pair the
      gateway needs the public half alone:

        openssl genpkey -algorithm ed25519 -out signer.pem
        openssl pkey -in signer.pem -pubout -out gateway.pem
      """,
    options: [.value("--id", "KID", "the key's name (1)")], run: runKey)

  // MARK: make

  private static func runMake(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    attempt("token make", context) {
      guard arguments.operands.isEmpty else { throw UsageError("token make takes no operand") }
      guard let path = arguments["--key"] else { throw UsageError("say what to sign with: --key FILE") }
      let claims = try claims(arguments, now: SystemClock.wallMilliseconds() / 1_000)
      let file = try Files.read(FilePath(path), bytesMax: TokenKeySet.fileBytesMax)
      let signer: TokenSigner
      do throws(TokenKeyError) {
        signer = try TokenSigner(file: file, id: arguments["--id"])
      } catch { throw Refusal(code: .configuration, message: "\(path): \(reason(error))") }
      guard let token = signer.sign(claims) else {
        throw Refusal(code: .failure, message: "\(path): this key can't sign")
      }
      context.console.line(token)
      return .ok
    }
  }

  /// The claims that options and --claims ask for, with `iat`, `exp` and `jti`.
  static func claims(_ arguments: Arguments, now: Int64) throws -> [UInt8] {
    var claims: JSONObject = [:]
    if let source = arguments["--claims"] {
      let bytes =
        source == "-"
        ? try standardInput(bytesMax: TokenLimits.bytesMax)
        : try Files.read(FilePath(source), bytesMax: TokenLimits.bytesMax)
      guard let object = try? JSONValue.parse(bytes.span).object else {
        throw UsageError("--claims needs a JSON object")
      }
      claims = object
    }
    for (option, claim) in [
      ("--user", "sub"), ("--session", "sid"), ("--issuer", "iss"), ("--audience", "aud"),
      ("--channel", "channel"),
    ] {
      if let text = arguments[option] { claims[claim] = .string(text) }
    }
    if let roles = arguments["--roles"] {
      claims["roles"] = .array(roles.split(separator: ",").map { .string(String($0)) })
    }
    if let info = arguments["--info"] {
      guard let value = try? JSONValue.parse(Array(info.utf8).span) else {
        throw UsageError("--info needs JSON, such as '{\"name\":\"Ada\"}'")
      }
      claims["info"] = value
    }
    let life = arguments["--expires"] ?? "1h"
    guard let ms = milliseconds(written: life), (1_000...(365 * 86_400_000)).contains(ms) else {
      throw UsageError("--expires is a time such as 15m, 1h or 7d, up to 365d")
    }
    if claims["iat"] == nil { claims["iat"] = .int(now) }
    if claims["exp"] == nil { claims["exp"] = .int(now + ms / 1_000) }
    if claims["jti"] == nil { claims["jti"] = .string(base64URL(SystemRandom.bytes(12))) }
    var writer = JSONWriter()
    writer.value(.object(claims))
    return writer.bytes
  }

  // MARK: verify

  private static func runVerify(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    attempt("token verify", context) {
      guard arguments.operands.isEmpty else {
        throw UsageError("a token is read from standard input, not from the command line")
      }
      let verifier = try verifier(arguments, context)
      var token = try standardInput(bytesMax: TokenLimits.bytesMax + 2)
      while token.last == 0x0A || token.last == 0x0D { token.removeLast() }
      let now = SystemClock.wallMilliseconds() / 1_000
      do throws(TokenError) {
        let claims: [UInt8]
        do throws(TokenError) {
          claims = try verifier.claims(of: token, now: now).0
        } catch {
          guard error == .wrongPurpose else { throw error }
          claims = try verifier.grantClaims(of: token, now: now)
        }
        context.console.line(String(decoding: claims, as: UTF8.self))
        return .ok
      } catch {
        throw Refusal(code: .notPermitted, message: "refused: \(error.text)")
      }
    }
  }

  private static func verifier(_ arguments: Arguments, _ context: CommandContext) throws
    -> TokenVerifier
  {
    let settings = try CheckedSettings(
      file: arguments["--config"], environment: Processes.environment(), context
    ).configuration.identity
    let paths = arguments["--keys"].map { [$0] } ?? settings.keyFiles
    guard !paths.isEmpty else { throw UsageError("name the keys with --keys FILE or --config FILE") }
    var sets: [TokenKeySet] = []
    do {
      for path in paths {
        sets.append(
          try TokenKeySet(file: try Files.read(FilePath(path), bytesMax: TokenKeySet.fileBytesMax)))
      }
      return TokenVerifier(
        keys: try TokenKeySet(joining: sets),
        rules: TokenRules(
          issuer: arguments["--issuer"] ?? settings.issuer,
          audience: arguments["--audience"] ?? settings.audience, type: settings.type,
          leewaySeconds: Int(clamping: settings.leeway.components.seconds)))
    } catch let error as TokenKeyError {
      throw Refusal(code: .configuration, message: "the keys can't be used: \(reason(error))")
    }
  }

  // MARK: key

  private static func runKey(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    attempt("token key", context) {
      guard arguments.operands.count == 1 else { throw UsageError("give the file to write") }
      let id = arguments["--id"] ?? "1"
      guard (1...TokenLimits.keyIDBytesMax).contains(id.utf8.count) else {
        throw UsageError("--id has 1 to \(TokenLimits.keyIDBytesMax) bytes")
      }
      var writer = JSONWriter()
      writer.value([
        "keys": .array([
          .object([
            "kty": .string("oct"), "kid": .string(id), "alg": .string("HS256"),
            "use": .string("sig"), "k": .string(base64URL(SystemRandom.bytes(32))),
          ])
        ])
      ])
      let path = arguments.operands[0]
      try Files.create(FilePath(path), content: writer.bytes + [0x0A], mode: 0o600)
      context.console.report("\(path) holds a new secret; identity.keyFiles may name it")
      return .ok
    }
  }

  // MARK: -

  private static func attempt(
    _ name: String, _ context: CommandContext, _ body: () throws -> ExitCode
  ) -> ExitCode {
    do {
      return try body()
    } catch let refusal as Refusal {
      context.console.report(refusal.message)
      return refusal.code
    } catch let error as UsageError {
      return context.refuse(error, name)
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }

  private static func reason(_ error: TokenKeyError) -> String {
    switch error {
    case .malformed(let reason), .weak(let reason): reason
    case .ambiguous: "there are several keys; say which with --id"
    case .empty: "there is no such key"
    case .tooMany: "there are too many keys"
    }
  }

  /// All of standard input.
  static func standardInput(bytesMax: Int) throws(UsageError) -> [UInt8] {
    do throws(SystemError) {
      return try Files.read(FilePath("/dev/stdin"), bytesMax: bytesMax)
    } catch { throw UsageError("standard input can't be read, or is too long") }
  }
}

extension JSONWriter {
  fileprivate mutating func value(_ object: JSONObject) { value(.object(object)) }
}
