internal import Bytes
internal import Config
internal import Crypto
internal import Platform

/// `sapphire key`: the API keys of a key file. A key is printed once, when it is made; the file
/// keeps its digest.
enum KeyCommands {
  private static let places: [Option] = [
    .value("--data", "DIR", "the data directory whose key file it is"),
    .value("--file", "FILE", "another key file"),
  ]

  static let make = Command(
    name: "key make", summary: "makes an API key and prints it once",
    usage: "NAME --scopes LIST [--channels PATTERNS]",
    details: """
      Adds a key to the key file by its SHA-256 and prints the key itself, once: it can't be
      shown again. The gateway knows it within 5 s. The file keeps its owner, group and mode;
      one that isn't there yet is made for you alone. Scopes, divided by commas:

        publish    publish, broadcast; storing contents of the vault
        history    history; fetching contents
        presence   presence, presence_stats, channels, info
        admin      ticket, revoke, disconnect, unsubscribe

      Examples:
        sapphire key make shop --scopes publish,history --channels "order:* stock"
        sapphire key make dashboard --scopes presence --file /etc/sapphire/gateway/api.key
      """,
    options: places + [
      .value("--scopes", "LIST", "what the key opens, divided by commas; needed"),
      .value("--channels", "PATTERNS", "for these channels alone, divided by spaces"),
    ]
  ) { arguments, context in
    run("key make", arguments, context) { path in
      let rule = try newRule(arguments)
      let key = "spk_" + base64URL(SystemRandom.bytes(32))
      let digest = SHA256.digest(Array(key.utf8))
      try KeyFile.change(path) { file throws(UsageError) in
        try add(rule, digest, to: &file)
      }
      // Only now: a key that could not be kept would open nothing.
      context.console.report("this key is shown only now; its SHA-256 is \(hex(digest))")
      context.console.line(key)
    }
  }

  static let list = Command(
    name: "key list", summary: "lists the API keys, without what they are", usage: "",
    details: """
      Prints name, scopes and channels of each key in the file, divided by tabs. A key that
      stands there as it is has the name line-N and every scope.
      """,
    options: places
  ) { arguments, context in
    run("key list", arguments, context) { path in
      for key in try KeyFile(path).keys {
        let channels = key.channels.isEmpty ? "*" : key.channels.joined(separator: " ")
        context.console.line("\(key.name)\t\(key.scopes)\t\(channels)")
      }
    }
  }

  static let revoke = Command(
    name: "key revoke", summary: "takes an API key out of force", usage: "NAME",
    details: "Removes the key from the file. The gateway refuses it within 5 s.",
    options: places
  ) { arguments, context in
    run("key revoke", arguments, context) { path in
      guard arguments.operands.count == 1 else { throw UsageError("give the key's name") }
      let name = arguments.operands[0]
      try KeyFile.change(path) { file throws(UsageError) in
        guard file.remove(name) else {
          throw UsageError("there is no key \(name); `sapphire key list` shows those there are")
        }
      }
      context.console.report("\(name) is revoked; the gateway refuses it within 5 s")
    }
  }

  // MARK: -

  /// Carries out `body` with the path of the key file, and says why where that fails.
  private static func run(
    _ name: String, _ arguments: Arguments, _ context: CommandContext,
    _ body: (FilePath) throws -> Void
  ) -> ExitCode {
    do {
      if let file = arguments["--file"] {
        try body(FilePath(file))
      } else {
        try body(try context.dataDirectory(arguments).keyFile)
      }
      return .ok
    } catch let error as UsageError {
      return context.refuse(error, name)
    } catch let error as ConfigProblem {
      context.console.report("\(error)")
      return .configuration
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }

  /// What is asked for, with a digest of nothing yet.
  static func newRule(_ arguments: Arguments) throws(UsageError) -> APIKeyRule {
    guard arguments.operands.count == 1, APIKeyRule.isName(arguments.operands[0]) else {
      throw UsageError("give a name of 1 to 64 of A-Z a-z 0-9 _ . -")
    }
    var rule = APIKeyRule(name: arguments.operands[0], digest: [], scopes: [])
    for word in (arguments["--scopes"] ?? "").split(separator: ",") {
      guard let scope = APIScopes.named.first(where: { $0.name == word }) else {
        throw UsageError("--scopes are publish, history, presence, admin and remove, not \(word)")
      }
      rule.scopes.insert(scope.scope)
    }
    guard !rule.scopes.isEmpty else { throw UsageError("say what it opens with --scopes LIST") }
    for word in (arguments["--channels"] ?? "").split(separator: " ") {
      guard let pattern = ChannelPattern(String(word)) else {
        throw UsageError("\(word) is no pattern of channels, such as chat:*")
      }
      rule.channels.append(pattern)
    }
    guard !rule.scopes.contains(.admin) || rule.channels.isEmpty else {
      throw UsageError("admin is not bound to channels; leave out one of the two")
    }
    return rule
  }

  private static func add(
    _ rule: APIKeyRule, _ digest: [UInt8], to file: inout KeyFile
  ) throws(UsageError) {
    guard !file.keys.contains(where: { $0.name == rule.name }) else {
      throw UsageError("there is a key \(rule.name) already; revoke it or choose another name")
    }
    var rule = rule
    rule.digest = digest
    file.add(rule)
  }
}
