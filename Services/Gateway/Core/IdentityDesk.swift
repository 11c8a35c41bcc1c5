internal import Bytes
internal import ChannelKit
internal import Config
internal import Identity
internal import Observe
internal import Platform
internal import Service
internal import Synchronization

/// The files that say who is let in: keys of tokens and keys of the API. Any thread; reading blocks.
struct IdentityFiles: Sendable {
  private let context: ServiceContext

  init(_ context: ServiceContext) { self.context = context }

  private var apiKeyFile: String? {
    context.options["api-key-file"] ?? context.settings.api.keyFile
  }

  /// The keys of `apiKeys` and of the key file, by their digests.
  ///
  /// - Errors: `ConfigurationRefused` with line and reason, nothing of a key; `SystemError`.
  func apiKeys() throws -> [APIKeyRule] {
    var keys = context.settings.apiKeys
    guard let path = apiKeyFile else { return keys }
    let text = try Files.read(FilePath(path), bytesMax: APIKeyFile.bytesMax)
    do throws(ConfigProblem) {
      for (line, entry) in try APIKeyFile(text, file: path).entries {
        switch entry {
        case .plain(let key): keys.append(APIKeys.rule(ofPlain: key, name: "line-\(line)"))
        case .digest(let rule): keys.append(rule)
        }
      }
    } catch { throw ConfigurationRefused(description: "the configuration is refused:\n\(error)") }
    return keys
  }

  /// The keys of all files of `identity.keyFiles`; nil where there is none.
  func tokenKeys() throws -> TokenKeySet? {
    let settings = context.settings.identity
    guard !settings.keyFiles.isEmpty else { return nil }
    var sets: [TokenKeySet] = []
    for path in settings.keyFiles {
      let bytes = try Files.read(FilePath(path), bytesMax: TokenKeySet.fileBytesMax)
      do throws(TokenKeyError) {
        sets.append(try TokenKeySet(file: bytes))
      } catch { throw refused("\(path): \(error.text)") }
    }
    let keys: TokenKeySet
    do throws(TokenKeyError) {
      keys = try TokenKeySet(joining: sets)
    } catch { throw refused(error.text) }
    for key in keys.all where !settings.allows(key.algorithm) {
      throw refused(
        "the key \(key) has an algorithm that identity.algorithms does not name")
    }
    return keys
  }

  private func refused(_ reason: String) -> ConfigurationRefused {
    ConfigurationRefused(description: "the configuration is refused:\nidentity.keyFiles: \(reason)")
  }

  /// What tells whether a file has changed; a file that can't be seen has no mark.
  func marks() -> [FileStatus?] {
    (context.settings.identity.keyFiles + [apiKeyFile].compactMap { $0 }).map {
      try? Files.status(FilePath($0))
    }
  }
}

/// The rules of channels and the routes in force, which a reload may change. Any thread.
final class RuleBook: Sendable {
  private let policies: Mutex<ChannelPolicies>
  private let held: Mutex<[RouteRule]>

  init(_ policies: ChannelPolicies, _ routes: [RouteRule]) {
    self.policies = Mutex(policies)
    held = Mutex(routes)
  }

  var routes: [RouteRule] { held.withLock { $0 } }

  func policy(_ name: ChannelName) -> ChannelPolicy { policies.withLock { $0 }.policy(name) }
  func replace(_ policies: ChannelPolicies, _ routes: [RouteRule]) {
    self.policies.withLock { $0 = policies }
    held.withLock { $0 = routes }
  }
}

/// Takes over keys and rights that have changed while the gateway runs. What can't be read leaves
/// the old ones in force and is said. Any thread.
final class IdentityDesk: Sendable {
  private let context: ServiceContext
  private let files: IdentityFiles
  private let keys: APIKeys
  private let authenticator: Authenticator
  private let book: RuleBook
  private let registry: ChannelRegistry
  private let marks: Mutex<[FileStatus?]>

  init(
    _ context: ServiceContext, _ files: IdentityFiles, _ keys: APIKeys,
    _ authenticator: Authenticator, _ book: RuleBook, _ registry: ChannelRegistry
  ) {
    self.context = context
    self.files = files
    self.keys = keys
    self.authenticator = authenticator
    self.book = book
    self.registry = registry
    marks = Mutex(files.marks())
  }

  /// Reads the files of keys again if one of them has changed.
  func lookAtFiles() {
    let now = files.marks()
    let hasChanged = marks.withLock { marks in
      defer { marks = now }
      return marks != now
    }
    if hasChanged { readKeys() }
    authenticator.tidy()
  }

  /// On SIGHUP: keys, and who may do what by the rules of channels.
  func reload() {
    readKeys()
    do {
      let settings = try SettingsFile.load(
        context.options["config"], environment: Self.environment(), channelTypes: registry.names)
      book.replace(try ChannelPolicies(settings.channels, registry), settings.routes)
      _ = authenticator.take(.lookAgain, now: SystemClock.monotonic())
    } catch {
      context.logger.error(
        "the rules of channels could not be read; the old ones stand", ["reason": .text("\(error)")])
    }
  }

  private func readKeys() {
    do {
      keys.replace(try files.apiKeys())
      context.logger.info("the API keys were read again")
    } catch {
      context.logger.error(
        "the API keys could not be read; the old ones stand", ["reason": .text("\(error)")])
    }
    guard !context.settings.identity.keyFiles.isEmpty else { return }
    do {
      authenticator.replace(try files.tokenKeys())
      context.logger.info("the keys of tokens were read again")
    } catch {
      context.logger.error(
        "the keys of tokens could not be read; the old ones stand", ["reason": .text("\(error)")])
    }
  }

  private static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    for entry in Processes.environment() {
      guard let equals = entry.firstIndex(of: "=") else { continue }
      variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
    }
    return variables
  }
}

extension IdentitySettings {
  func allows(_ algorithm: TokenAlgorithm) -> Bool {
    algorithms.isEmpty || algorithms.contains { $0.rawValue == algorithm.rawValue }
  }
}

extension TokenKeyError {
  /// One sentence for whoever writes the key file.
  var text: String {
    switch self {
    case .malformed(let reason), .weak(let reason): reason
    case .ambiguous: "two keys have the same kid, or a key without a kid stands beside others"
    case .empty: "there is no key that could be used"
    case .tooMany: "there are more than \(TokenKeySet.keysMax) keys"
    }
  }
}
