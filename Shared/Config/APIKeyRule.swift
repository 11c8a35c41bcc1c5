internal import Bytes

/// What an API key opens.
public struct APIScopes: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Publishing, and storing contents of the vault.
  public static let publish = APIScopes(rawValue: 1)
  /// Reading what was published, and the vault.
  public static let history = APIScopes(rawValue: 2)
  /// Who is there, and which channels there are.
  public static let presence = APIScopes(rawValue: 4)
  /// Tickets, revocations, ending connections.
  public static let admin = APIScopes(rawValue: 8)
  /// Removing histories.
  public static let remove = APIScopes(rawValue: 16)
  public static let all: APIScopes = [.publish, .history, .presence, .admin, .remove]

  /// Each alone, with its name in configurations.
  public static let named: [(name: String, scope: APIScopes)] = [
    ("publish", .publish), ("history", .history), ("presence", .presence), ("admin", .admin),
    ("remove", .remove),
  ]

  /// The names of those that it holds, divided by commas.
  public var names: String {
    Self.named.filter { contains($0.scope) }.map(\.name).joined(separator: ",")
  }
}

/// An API key as it is kept: by its digest, with what it opens.
///
/// The key itself has 256 random bits, so that a plain digest can't be turned back.
public struct APIKeyRule: Hashable, Sendable {
  /// What people call it: 1 to 64 of `A-Z a-z 0-9 _ . -`.
  public var name: String
  /// SHA-256 of the key's characters.
  public var digest: [UInt8]
  public var scopes: APIScopes
  /// The channels it is for; empty: all.
  public var channels: [ChannelPattern]

  public static let nameBytesMax = 64
  public static let countMax = 1_000
  public static let channelsMax = 64

  public init(
    name: String, digest: [UInt8], scopes: APIScopes = .all, channels: [ChannelPattern] = []
  ) {
    self.name = name
    self.digest = digest
    self.scopes = scopes
    self.channels = channels
  }

  public static func isName(_ text: String) -> Bool {
    (1...nameBytesMax).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"): true
        default: false
        }
      }
  }

  /// The 32 bytes that 64 hexadecimal digits spell.
  static func digest(hex text: String) -> [UInt8]? {
    guard text.utf8.count == 64 else { return nil }
    return bytes(hex: text)
  }

  static let bindingRemedy = "admin is not bound to channels; leave out one of the two"
}

extension APIKeyRule {
  /// The section `apiKeys`: a list of keys.
  static func list(reading value: ConfigValue?, _ reading: inout ConfigReading) -> [APIKeyRule] {
    guard let value, value.content != .null else { return [] }
    guard case .array(let elements) = value.content else {
      reading.report(
        value.place, "apiKeys", "write a list of keys: [ { name: …, sha256: …, scopes: … } ]")
      return []
    }
    guard elements.count <= countMax else {
      reading.report(value.place, "apiKeys", "write at most \(countMax) keys")
      return []
    }
    var keys: [APIKeyRule] = []
    for (index, element) in elements.enumerated() {
      let path = "apiKeys[\(index)]"
      guard let key = APIKeyRule(reading: element, path: path, &reading) else { continue }
      if keys.contains(where: { $0.name == key.name }) {
        reading.report(element.place, "\(path).name", "another key has this name; choose one more")
      }
      if keys.contains(where: { $0.digest == key.digest }) {
        reading.report(element.place, "\(path).sha256", "another entry has this key; remove one")
      }
      keys.append(key)
    }
    return keys
  }

  private init?(reading value: ConfigValue, path: String, _ reading: inout ConfigReading) {
    var reader = SettingsReader(value, path: path, &reading)
    let before = reading.problems.count
    let name = reader.read("name", &reading) { value throws(Refused) in try value.apiKeyName() }
    let digest = reader.read("sha256", &reading) { value throws(Refused) in try value.digest() }
    let scopes =
      reader.list("scopes", &reading, ifEmpty: "name what the key may do, such as \"publish\"") {
        value throws(Refused) in try value.apiScope()
      } ?? []
    let channels = reader.list("channels", &reading) { value throws(Refused) in
      try value.plainPattern()
    }
    reader.finish(&reading)
    for (key, isThere) in [("name", name != nil), ("sha256", digest != nil), ("scopes", !scopes.isEmpty)]
    where !isThere && reading.problems.count == before {
      reading.report(value.place, "\(path).\(key)", "a key needs name, sha256 and scopes")
    }
    guard let name, let digest else { return nil }
    self.init(
      name: name, digest: digest, scopes: APIScopes(scopes), channels: channels ?? [])
    if self.scopes.contains(.admin), !self.channels.isEmpty {
      reading.report(value.place, "\(path).channels", Self.bindingRemedy)
    }
    if self.channels.count > Self.channelsMax {
      reading.report(
        value.place, "\(path).channels", "write at most \(Self.channelsMax) patterns")
    }
  }
}

extension ConfigValue {
  fileprivate func apiKeyName() throws(Refused) -> String {
    guard case .string(let text) = content, APIKeyRule.isName(text) else {
      throw Refused("write a name of 1 to 64 of A-Z a-z 0-9 _ . -")
    }
    return text
  }

  /// What is written is not repeated: it may be the key itself, put here by mistake.
  fileprivate func digest() throws(Refused) -> [UInt8] {
    guard case .string(let text) = content, let digest = APIKeyRule.digest(hex: text) else {
      throw Refused(
        "write the key's SHA-256, 64 hexadecimal digits, never the key: `sapphire key make` "
          + "prints both")
    }
    return digest
  }

  fileprivate func apiScope() throws(Refused) -> APIScopes {
    if case .string(let text) = content,
      let scope = APIScopes.named.first(where: { $0.name == text })
    {
      return scope.scope
    }
    throw Refused("write one of \"publish\", \"history\", \"presence\", \"admin\", \"remove\"")
  }

  fileprivate func plainPattern() throws(Refused) -> ChannelPattern {
    guard case .string(let text) = content, let pattern = ChannelPattern(text) else {
      throw Refused("write a pattern of channels, such as \"chat:*\"")
    }
    return pattern
  }
}
