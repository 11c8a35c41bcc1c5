internal import Client
internal import Identity
internal import Platform

/// What a command signs in with: a token of SAPPHIRE_TOKEN, or of a file that is read again for each
/// connection, so that a newer token is used. Never of the command line, which others on the
/// machine can see.
struct SignIn: Sendable {
  static let option = Option.value(
    "--token-file", "FILE", "signs in with the token in it (or SAPPHIRE_TOKEN)")

  /// The token when the command began.
  let token: String
  private let file: FilePath?

  /// BUDGET: a file larger than this is some other file.
  private static let fileBytesMax = TokenLimits.bytesMax * 2

  /// - Parameters:
  ///   - file: what `--token-file` says.
  ///   - variable: SAPPHIRE_TOKEN, which counts without a file.
  /// - Errors: a file that can't be read, or what is no token; nothing of it is repeated.
  init?(file: String?, variable: String?) throws(UsageError) {
    guard let path = file else {
      guard let variable else { return nil }
      guard let token = Self.token(variable) else {
        throw UsageError("SAPPHIRE_TOKEN is no token: a JWT has three parts with dots between")
      }
      self.token = token
      self.file = nil
      return
    }
    let content: [UInt8]
    do throws(SystemError) {
      content = try Files.read(FilePath(path), bytesMax: Self.fileBytesMax)
    } catch { throw UsageError("--token-file \(path) can't be read: \(error.reason)") }
    guard let token = Self.token(String(decoding: content, as: UTF8.self)) else {
      throw UsageError("--token-file \(path) holds no token: a JWT has three parts with dots between")
    }
    self.token = token
    self.file = FilePath(path)
  }

  /// For the next connection. A file that is just being replaced leaves the token that was there.
  var source: @Sendable () -> String? {
    { [token, file] in
      guard let file, let content = try? Files.read(file, bytesMax: Self.fileBytesMax) else {
        return token
      }
      return Self.token(String(decoding: content, as: UTF8.self)) ?? token
    }
  }

  /// The token that a text with blanks around it is: RFC 7515 §7.1.
  static func token(_ text: String) -> String? {
    let token = text.utf8.drop(while: isBlank)
    let end = token.lastIndex { !isBlank($0) }
    guard let end else { return nil }
    let trimmed = token[...end]
    guard trimmed.count <= TokenLimits.bytesMax,
      trimmed.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).count == 3,
      trimmed.allSatisfy(isOfToken)
    else { return nil }
    return String(Substring(trimmed))
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

  private static func isOfToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"),
      UInt8(ascii: "."):
      true
    default: false
    }
  }
}

extension CommandContext {
  /// What to sign in with; nil where nobody has said.
  func signIn(_ arguments: Arguments) throws(UsageError) -> SignIn? {
    let variable = environment("SAPPHIRE_TOKEN").flatMap { $0.isEmpty ? nil : $0 }
    return try SignIn(file: arguments["--token-file"], variable: variable)
  }
}

extension Server {
  /// What a client of this server is told: who signs in shows no key besides.
  func options(_ signIn: SignIn?) -> ClientOptions {
    var options = ClientOptions(url: url, key: signIn == nil ? key : nil)
    options.trust = trust
    options.token = signIn?.source
    return options
  }
}
