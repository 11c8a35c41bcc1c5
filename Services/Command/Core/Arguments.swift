/// An option of a command: `--listen HOST:PORT`, or a flag where it takes nothing.
struct Option: Sendable, Hashable {
  let name: String
  /// What the value is called in help texts; nil for a flag.
  let value: String?
  let help: String

  /// The name, and the value where it takes one.
  var spelling: String { value.map { "\(name) \($0)" } ?? name }

  static func flag(_ name: String, _ help: String) -> Option {
    Option(name: name, value: nil, help: help)
  }

  static func value(_ name: String, _ value: String, _ help: String) -> Option {
    Option(name: name, value: value, help: help)
  }
}

/// Why a command line was refused, in one sentence for the person who typed it.
struct UsageError: Error, Equatable {
  let message: String
  init(_ message: String) { self.message = message }
}

/// A command line taken apart: options by name, and the rest in order.
///
///     --name value    --name=value    --flag    -h    --    -
///
/// What follows `--` is never an option; a bare `-` is not one either. An option stands once.
struct Arguments: Equatable {
  private var values: [String: String] = [:]
  private(set) var operands: [String] = []

  init(_ words: [String], options: [Option]) throws(UsageError) {
    var index = 0
    var isEnded = false
    while index < words.count {
      let word = words[index]
      index += 1
      if isEnded || word == "-" || !word.hasPrefix("-") {
        operands.append(word)
      } else if word == "--" {
        isEnded = true
      } else {
        try take(word == "-h" ? "--help" : word, options, words, &index)
      }
    }
  }

  private mutating func take(
    _ word: String, _ options: [Option], _ words: [String], _ index: inout Int
  ) throws(UsageError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0])
    guard let option = options.first(where: { $0.name == name }) else {
      throw UsageError(Self.unknown(name, options))
    }
    guard values[name] == nil else { throw UsageError("\(name) stands twice") }
    guard let valueName = option.value else {
      guard parts.count == 1 else { throw UsageError("\(name) takes no value") }
      values[name] = ""
      return
    }
    if parts.count == 2 {
      values[name] = String(parts[1])
    } else if index < words.count {
      values[name] = words[index]
      index += 1
    } else {
      throw UsageError("\(name) needs a value: \(name) \(valueName)")
    }
  }

  private static func unknown(_ name: String, _ options: [Option]) -> String {
    let near = options.map { ($0.name, distance($0.name, name)) }.min { $0.1 < $1.1 }
    if let near, near.1 <= 2 { return "unknown option \(name); did you mean \(near.0)?" }
    return "unknown option \(name)"
  }

  /// How many letters have to be put in, taken out or changed (Levenshtein).
  private static func distance(_ a: String, _ b: String) -> Int {
    let a = Array(a.utf8)
    let b = Array(b.utf8.prefix(64))
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for j in b.indices {
        let changed = diagonal + (b[j] == letter ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(changed, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }

  /// The option's value; nil where it was not given.
  subscript(name: String) -> String? { values[name] }

  /// Whether the flag stands.
  func has(_ name: String) -> Bool { values[name] != nil }

  /// The option's value as a whole number within `range`; `fallback` where it was not given.
  func integer(_ name: String, in range: ClosedRange<Int>, default fallback: Int)
    throws(UsageError) -> Int
  {
    guard let text = values[name] else { return fallback }
    guard let number = Int(text), range.contains(number) else {
      throw UsageError(
        "\(name) is a whole number from \(range.lowerBound) to \(range.upperBound), not \(text)")
    }
    return number
  }
}
