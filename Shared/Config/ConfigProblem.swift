/// Where a setting was written.
public enum ConfigPlace: Hashable, Sendable {
  /// A line of the file, counted from 1.
  case line(Int)
  /// An environment variable.
  case variable(String)
  /// Nowhere: the defaults.
  case defaults
}

/// One thing that is wrong with a configuration, and what to do about it.
public struct ConfigProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// The configuration file's name as the user gave it.
  public let file: String
  public let place: ConfigPlace
  /// The setting, such as `channels[2].history.ttl`; empty for the file as a whole.
  public let setting: String
  /// A sentence that says what to write instead.
  public let reason: String

  public init(file: String, place: ConfigPlace, setting: String, reason: String) {
    self.file = file
    self.place = place
    self.setting = setting
    self.reason = reason
  }

  /// `FILE:LINE: SETTING: REASON`, the shape that editors jump to.
  ///
  /// One line whatever the file says: control characters and line separators of names and values
  /// that the sentence repeats are written as `\u{1B}`, so that none reaches a terminal or a log.
  public var description: String {
    let source =
      switch place {
      case .line(let line): "\(file):\(line)"
      case .variable(let name): name
      case .defaults: file
      }
    return onOneLine(setting.isEmpty ? "\(source): \(reason)" : "\(source): \(setting): \(reason)")
  }
}

private func onOneLine(_ text: String) -> String {
  var line = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator:
      line.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
    default: line.append(scalar)
    }
  }
  return String(line)
}

/// The name of `known` that is most like `word`: at most a third of its letters differ.
func nearest(to word: String, among known: some Sequence<String>) -> String? {
  let letters = [UInt8](word.utf8.prefix(64).map(lowercased))
  var best: (name: String, distance: Int)?
  for name in known {
    let distance = editDistance(letters, name.utf8.map(lowercased))
    guard distance <= max(1, max(letters.count, name.utf8.count) / 3) else { continue }
    if distance < best?.distance ?? .max { best = (name, distance) }
  }
  return best?.name
}

private func lowercased(_ byte: UInt8) -> UInt8 {
  (65...90).contains(byte) ? byte + 32 : byte
}

/// Levenshtein's distance: insertions, deletions and substitutions.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var row = Array(0...b.count)
  for i in a.indices {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let substituted = diagonal + (a[i] == b[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
    }
  }
  return row[b.count]
}
