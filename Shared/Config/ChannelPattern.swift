public import Bytes

/// A pattern of channel names: the characters of a name, and `*` for any run of characters.
///
/// Matching takes time linear in the name, whatever the pattern: what stands before the first star
/// and after the last is compared in place, and each part between is searched once (Knuth, Morris,
/// Pratt), leftmost first. Pure; any thread.
public struct ChannelPattern: Hashable, Sendable, CustomStringConvertible {
  public static let bytesMax = 255

  public let text: String
  private let prefix: [UInt8]
  private let suffix: [UInt8]
  private let middles: [Needle]
  private let hasStar: Bool
  private let ownership: Ownership

  /// Which part of a name says whose channel it is.
  private enum Ownership: Hashable, Sendable {
    /// What stands behind the only `#`, divided by commas.
    case afterHash
    /// What stands for `{user}`: after `prefix`, up to where `rest` begins.
    case placeholder(prefix: [UInt8], rest: [ChannelPattern])
  }

  /// The pattern of a rule, which may have one `{user}` in it: a run of characters that names the
  /// user whose channel it is.
  ///
  /// Nil as for other patterns, and where nothing tells where the user's name ends: a star before or
  /// right behind the placeholder, or a second placeholder.
  public init?(rule text: String) {
    let bytes = [UInt8](text.utf8)
    let mark = [UInt8](Self.placeholder.utf8)
    guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: mark) }) else {
      self.init(text)
      return
    }
    let prefix = bytes[..<start]
    let rest = bytes[(start + mark.count)...]
    guard !prefix.contains(UInt8(ascii: "*")), rest.first != UInt8(ascii: "*") else { return nil }
    var ending: [ChannelPattern] = []
    if !rest.isEmpty {
      guard let pattern = ChannelPattern(String(decoding: rest, as: UTF8.self)) else { return nil }
      ending = [pattern]
    }
    let all = String(decoding: prefix, as: UTF8.self) + "*" + String(decoding: rest, as: UTF8.self)
    self.init(all, text, .placeholder(prefix: Array(prefix), rest: ending))
  }

  public static let placeholder = "{user}"

  /// Nil where `text` is empty, over 255 bytes, or has characters that no channel's name can have.
  public init?(_ text: String) { self.init(text, text, .afterHash) }

  private init?(_ text: String, _ written: String, _ ownership: Ownership) {
    let bytes = [UInt8](text.utf8)
    guard (1...Self.bytesMax).contains(bytes.count) else { return nil }
    let parts = bytes.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
    for part in parts where !part.isEmpty {
      guard ChannelName(String(decoding: part, as: UTF8.self)) != nil else { return nil }
    }
    self.text = written
    self.ownership = ownership
    hasStar = parts.count > 1
    prefix = [UInt8](parts.first ?? [])
    suffix = hasStar ? [UInt8](parts.last ?? []) : []
    middles = parts.dropFirst().dropLast().filter { !$0.isEmpty }.map { Needle([UInt8]($0)) }
  }

  public var description: String { text }

  /// Whether the pattern is `*`, or stars alone: it leaves nothing to the rules after it.
  public var matchesEverything: Bool {
    hasStar && prefix.isEmpty && suffix.isEmpty && middles.isEmpty
  }

  /// Whether a name that it matches can say whose channel it is.
  public var canHaveOwners: Bool {
    switch ownership {
    case .placeholder: true
    case .afterHash: text.utf8.contains(UInt8(ascii: "#")) || hasStar
    }
  }

  /// The users whose channel it is: what stands for `{user}`, or the names behind the only `#`,
  /// divided by commas. Empty where nobody is named.
  ///
  /// A name that could be cut in two ways has no owner.
  public func owners(of channel: ChannelName) -> [String] {
    let name = [UInt8](channel.text.utf8)
    switch ownership {
    case .afterHash:
      let parts = name.split(separator: UInt8(ascii: "#"), omittingEmptySubsequences: false)
      guard parts.count == 2 else { return [] }
      return parts[1].split(separator: UInt8(ascii: ",")).map { String(decoding: $0, as: UTF8.self) }
    case .placeholder(let prefix, let rest):
      guard name.starts(with: prefix) else { return [] }
      let behind = name[prefix.count...]
      let end: Int
      if let rest = rest.first {
        // The first place where the rest begins; there it has to fit whole.
        guard let found = behind.firstIndex(of: rest.prefix.first ?? 0),
          rest.matches(Array(behind[found...]).span)
        else { return [] }
        end = found
      } else {
        end = behind.endIndex
      }
      return end > prefix.count ? [String(decoding: behind[..<end], as: UTF8.self)] : []
    }
  }

  /// The one name that the pattern matches, where it has no star.
  public var exactName: ChannelName? { hasStar ? nil : ChannelName(text) }

  public func matches(_ channel: ChannelName) -> Bool {
    matches([UInt8](channel.text.utf8).span)
  }

  func matches(_ name: borrowing Span<UInt8>) -> Bool {
    guard hasStar else { return name.count == prefix.count && begins(name, with: prefix) }
    guard name.count >= prefix.count + suffix.count, begins(name, with: prefix),
      ends(name, with: suffix)
    else { return false }
    var from = prefix.count
    let end = name.count - suffix.count
    for middle in middles {
      guard let found = middle.firstEnd(in: name, from: from, to: end) else { return false }
      from = found
    }
    return true
  }

  private func begins(_ name: borrowing Span<UInt8>, with part: [UInt8]) -> Bool {
    guard name.count >= part.count else { return false }
    for i in 0..<part.count where name[i] != part[i] { return false }
    return true
  }

  private func ends(_ name: borrowing Span<UInt8>, with part: [UInt8]) -> Bool {
    let start = name.count - part.count
    for i in 0..<part.count where name[start + i] != part[i] { return false }
    return true
  }
}

/// A part to search for, with its table of Knuth, Morris and Pratt.
private struct Needle: Hashable, Sendable {
  let bytes: [UInt8]
  /// For each position the length of the longest proper prefix that is also a suffix there.
  let borders: [Int]

  /// `bytes` is not empty.
  init(_ bytes: [UInt8]) {
    var borders = [Int](repeating: 0, count: bytes.count)
    var length = 0
    for i in bytes.indices.dropFirst() {
      while length > 0, bytes[i] != bytes[length] { length = borders[length - 1] }
      if bytes[i] == bytes[length] { length += 1 }
      borders[i] = length
    }
    self.bytes = bytes
    self.borders = borders
  }

  /// The offset after the leftmost occurrence within `from ..< to`.
  func firstEnd(in name: borrowing Span<UInt8>, from: Int, to: Int) -> Int? {
    var length = 0
    var i = from
    while i < to {
      while length > 0, name[i] != bytes[length] { length = borders[length - 1] }
      if name[i] == bytes[length] { length += 1 }
      i += 1
      if length == bytes.count { return i }
    }
    return nil
  }
}
