internal import Bytes

/// A file of API keys, one a line:
///
///     # a remark
///     PgX0…                                   a key itself, with every scope
///     sha256:9f86… name=shop scopes=publish channels=chat:*,route
///
/// The file of `sapphire up` begins with the key that the command line of the machine uses; what
/// `sapphire key` adds is kept by digest. Pure.
public struct APIKeyFile: Sendable {
  public enum Entry: Sendable, Equatable {
    /// The key's own characters.
    case plain([UInt8])
    case digest(APIKeyRule)
  }

  /// In the order of the file, each with its line, counted from 1.
  public private(set) var entries: [(line: Int, entry: Entry)] = []

  public static let bytesMax = 512 * 1024
  /// BUDGET: fewer characters can be guessed.
  public static let keyBytesMin = 16
  /// A key longer than this is no key of ours.
  public static let keyBytesMax = 512

  /// - Parameter file: the file's name, for messages only; they repeat nothing of a line.
  public init(_ text: [UInt8], file: String) throws(ConfigProblem) {
    var names: Set<String> = []
    let lines = text.split(omittingEmptySubsequences: false) { $0 == 0x0A }
    for (index, bytes) in lines.enumerated() {
      let words = bytes.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }.map(Array.init)
      guard let first = words.first, first.first != UInt8(ascii: "#") else { continue }
      let line = index + 1
      do throws(Refused) {
        let entry = try Self.entry(words)
        if case .digest(let rule) = entry, !names.insert(rule.name).inserted {
          throw Refused("another key of the file has the name \(rule.name)")
        }
        entries.append((line, entry))
        guard entries.count <= APIKeyRule.countMax else {
          throw Refused("a file has at most \(APIKeyRule.countMax) keys")
        }
      } catch {
        throw ConfigProblem(file: file, place: .line(line), setting: "", reason: error.reason)
      }
    }
  }

  private static func entry(_ words: [[UInt8]]) throws(Refused) -> Entry {
    let first = words.first ?? []
    guard first.starts(with: "sha256:".utf8) else {
      guard words.count == 1 else { throw Refused("write one key in a line, and nothing behind it") }
      guard first.count >= keyBytesMin else {
        throw Refused("an API key has at least \(keyBytesMin) characters")
      }
      guard first.count <= keyBytesMax else {
        throw Refused("an API key has at most \(keyBytesMax) characters")
      }
      return .plain(first)
    }
    guard let digest = APIKeyRule.digest(hex: String(decoding: first.dropFirst(7), as: UTF8.self))
    else { throw Refused("64 hexadecimal digits belong behind sha256:") }
    var rule = APIKeyRule(name: "", digest: digest, scopes: [])
    for word in words.dropFirst() { try rule.take(String(decoding: word, as: UTF8.self)) }
    guard !rule.name.isEmpty, !rule.scopes.isEmpty else {
      throw Refused("a key needs name=… and scopes=…")
    }
    guard !rule.scopes.contains(.admin) || rule.channels.isEmpty else {
      throw Refused(APIKeyRule.bindingRemedy)
    }
    return .digest(rule)
  }

  /// The line that stands for a key by its digest, without a newline.
  public static func line(_ rule: APIKeyRule) -> String {
    var line = "sha256:\(hex(rule.digest)) name=\(rule.name) scopes=\(rule.scopes.names)"
    if !rule.channels.isEmpty {
      line += " channels=\(rule.channels.map(\.text).joined(separator: " channels="))"
    }
    return line
  }
}

extension APIKeyRule {
  /// `name=…`, `scopes=a,b` or `channels=PATTERN`, which may stand several times, since a comma is
  /// part of channels' names.
  fileprivate mutating func take(_ word: String) throws(Refused) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let value = parts.count == 2 ? String(parts[1]) : ""
    switch parts[0] {
    case "name":
      guard APIKeyRule.isName(value) else {
        throw Refused("a name has 1 to 64 of A-Z a-z 0-9 _ . -")
      }
      name = value
    case "scopes":
      for part in value.split(separator: ",") {
        guard let scope = APIScopes.named.first(where: { $0.name == part }) else {
          throw Refused("scopes are publish, history, presence, admin and remove")
        }
        scopes.insert(scope.scope)
      }
    case "channels":
      guard let pattern = ChannelPattern(value), channels.count < APIKeyRule.channelsMax else {
        throw Refused("channels=… is a pattern, such as chat:*; several stand one after another")
      }
      channels.append(pattern)
    default: throw Refused("a key has name=…, scopes=… and channels=… behind its digest")
    }
  }
}
