/// One option of a service's command line.
public struct OptionSpec: Sendable {
  public let name: String
  public let placeholder: String
  public let help: String
  /// `--name` may stand alone.
  public let isFlag: Bool

  public init(_ name: String, _ placeholder: String, _ help: String) {
    self.name = name
    self.placeholder = placeholder
    self.help = help
    isFlag = false
  }

  public init(flag name: String, _ help: String) {
    self.name = name
    placeholder = ""
    self.help = help
    isFlag = true
  }
}

/// Why a command line was refused: a sentence that says what to do.
public struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// The options that were given. Pure.
public struct CommandLineOptions: Sendable {
  private var values: [String: String] = [:]
  public private(set) var arguments: [String] = []

  /// - Parameter takesArguments: whether words that are no options are allowed.
  public init(_ words: [String], specs: [OptionSpec], takesArguments: ArgumentRule = .none)
    throws(UsageError)
  {
    var index = 0
    while index < words.count {
      let word = words[index]
      index += 1
      guard word.hasPrefix("--"), word.count > 2 else {
        guard takesArguments == .any else {
          throw UsageError("unexpected argument \"\(word)\"; --help lists the options")
        }
        arguments.append(word)
        continue
      }
      let body = word.dropFirst(2)
      let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      guard let spec = specs.first(where: { $0.name == name }) else {
        throw UsageError("unknown option --\(name)\(Self.suggestion(name, specs))")
      }
      if spec.isFlag {
        guard parts.count == 1 else { throw UsageError("--\(name) takes no value") }
        values[name] = "true"
      } else if parts.count == 2 {
        values[name] = String(parts[1])
      } else {
        guard index < words.count else {
          throw UsageError("--\(name) needs a value: --\(name) \(spec.placeholder)")
        }
        values[name] = words[index]
        index += 1
      }
    }
  }

  public enum ArgumentRule: Sendable { case none, any }

  public subscript(name: String) -> String? { values[name] }
  public func has(_ name: String) -> Bool { values[name] == "true" }

  private static func suggestion(_ name: String, _ specs: [OptionSpec]) -> String {
    let near = specs.first { spec in
      spec.name.hasPrefix(name.prefix(3)) || name.hasPrefix(spec.name.prefix(3))
    }
    return near.map { "; did you mean --\($0.name)?" } ?? "; --help lists the options"
  }
}
