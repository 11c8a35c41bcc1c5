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

  /// The keys that a configuration lists and those of the key file, by their digests.
  ///
  /// - Errors: `ConfigurationRefused` with line and reason, nothing of a key; `SystemError`.
  func apiKeys(listed: [APIKeyRule]) throws -> [APIKeyRule] {
    var keys = listed
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
  func tokenKeys(_ paths: [String]) throws -> TokenKeySet? {
    let settings = context.settings.identity
    guard !paths.isEmpty else { return nil }
    var sets: [TokenKeySet] = []
    for path in paths {
      let bytes = try Files.read(FilePath(path), bytesMax: TokenKeySet.fileBytesMax)
      do throws(TokenKeyError) {
        sets.append(try TokenKeySet(file: bytes, id: Self.keyID(of: path)))
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

  /// The `kid` of the key in a PEM file: the file's name without its ending.
  private static func keyID(of path: String) -> String {
    let name = path.split(separator: "/").last ?? ""
    return String(name.split(separator: ".").first ?? name)
  }

  private func refused(_ reason: String) -> ConfigurationRefused {
    ConfigurationRefused(description: "the configuration is refused:\nidentity.keyFiles: \(reason)")
  }

  /// What tells whether a file has changed; a file that can't be seen has no mark.
  func marks(_ keyFiles: [String]) -> [FileStatus?] {
    (keyFiles + [apiKeyFile].compactMap { $0 }).map {
      try? Files.status(FilePath($0))
    }
  }
}

/// The rules of channels in force, which a reload may change. Any thread.
///
/// What a channel is and keeps (type, options, history, presence) is what the first rules said that
/// knew it, until the process ends: loops make a channel at different times, and may not hold
/// different ones by that name. Everything else is as the latest rules say.
final class RuleBook: Sendable {
  private struct Rules {
    /// The oldest first; the last are those in force. Never empty.
    var generations: [ChannelPolicies]
    var current: ChannelPolicies
  }

  private let rules: Mutex<Rules>
  private let replacements = Atomic(0)
  /// BUDGET: rules that say what channels are and keep, those of the start and of reloads.
  static let generationsMax = 64

  init(_ policies: ChannelPolicies) {
    rules = Mutex(Rules(generations: [policies], current: policies))
  }

  /// How often rules have been replaced: as long as it is the same, so is what they say.
  var version: Int { replacements.load(ordering: .acquiring) }

  /// Nil where no rule in force matches.
  func policy(_ name: ChannelName) -> ChannelPolicy? {
    let rules = rules.withLock { $0 }
    guard let now = rules.current.policy(name) else { return nil }
    if rules.generations.count == 1 { return now }
    for generation in rules.generations {
      guard var policy = generation.policy(name) else { continue }
      policy.adopt(now)
      return policy
    }
    return now
  }

  enum Replacement { case whole, rightsOnly, tooMany }

  /// Says whether all of it is in force, or only what may change while the process runs.
  func replace(_ policies: ChannelPolicies) -> Replacement {
    defer { replacements.add(1, ordering: .releasing) }
    return rules.withLock { rules in
      if rules.generations.contains(where: { $0.keepsChannels(of: policies) }) {
        rules.current = policies
        return rules.generations[0].keepsChannels(of: policies) ? .whole : .rightsOnly
      }
      guard rules.generations.count < Self.generationsMax else { return .tooMany }
      rules.generations.append(policies)
      rules.current = policies
      return .rightsOnly
    }
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
  private let routes: RouteBook
  private let registry: ChannelRegistry
  private let marks: Mutex<[FileStatus?]>
  /// The keys that the configuration lists.
  private let listedKeys: Mutex<[APIKeyRule]>
  /// The files with keys of tokens that it names.
  private let keyFiles: Mutex<[String]>

  init(
    _ context: ServiceContext, _ files: IdentityFiles, _ keys: APIKeys,
    _ authenticator: Authenticator, _ book: RuleBook, _ routes: RouteBook,
    _ registry: ChannelRegistry
  ) {
    self.context = context
    self.files = files
    self.keys = keys
    self.authenticator = authenticator
    self.book = book
    self.routes = routes
    self.registry = registry
    marks = Mutex(files.marks(context.settings.identity.keyFiles))
    listedKeys = Mutex(context.settings.apiKeys)
    keyFiles = Mutex(context.settings.identity.keyFiles)
  }

  /// Reads the files of keys again if one of them has changed.
  func lookAtFiles() {
    let now = files.marks(keyFiles.withLock { $0 })
    let hasChanged = marks.withLock { marks in
      defer { marks = now }
      return marks != now
    }
    if hasChanged { readKeys() }
    authenticator.tidy()
  }

  /// On SIGHUP: keys, and who may do what by the rules of channels. The settings that are left as
  /// they were.
  func reload(_ settings: Configuration) -> Set<String> {
    listedKeys.withLock { $0 = settings.apiKeys }
    keyFiles.withLock { $0 = settings.identity.keyFiles }
    readKeys()
    return replaceRules(settings) ? [] : ["channels"]
  }

  private func replaceRules(_ settings: Configuration) -> Bool {
    var isTaken = false
    do {
      routes.replace(settings.routes)
      let replacement = book.replace(try ChannelPolicies(settings.channels, registry))
      isTaken = replacement != .tooMany
      switch replacement {
      case .whole: context.logger.info("the rules of channels were read again")
      case .rightsOnly:
        context.logger.warning(
          "the rules of channels were read again; type, options, history and presence of channels that earlier rules name change with the next start"
        )
      case .tooMany:
        context.logger.error(
          "the rules of channels have changed too often since the start; the old ones stand until the next"
        )
      }
      authenticator.lookAgain()
    } catch {
      context.logger.error(
        "the rules of channels could not be read; the old ones stand", ["reason": .text("\(error)")])
    }
    return isTaken
  }

  private func readKeys() {
    do {
      keys.replace(try files.apiKeys(listed: listedKeys.withLock { $0 }))
      context.logger.info("the API keys were read again")
    } catch {
      context.logger.error(
        "the API keys could not be read; the old ones stand", ["reason": .text("\(error)")])
    }
    let paths = keyFiles.withLock { $0 }
    guard !paths.isEmpty || authenticator.takesTokens else { return }
    do {
      authenticator.replace(try files.tokenKeys(paths))
      context.logger.info("the keys of tokens were read again")
    } catch {
      context.logger.error(
        "the keys of tokens could not be read; the old ones stand", ["reason": .text("\(error)")])
    }
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
    case .ambiguous: "two keys have the same kid, or two have none"
    case .empty: "there is no key that could be used"
    case .tooMany: "there are more than \(TokenKeySet.keysMax) keys"
    }
  }
}
