/// A path as the kernel knows it: bytes without NUL, which need not be UTF-8.
public struct FilePath: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
  public let bytes: [UInt8]

  /// Bytes from the first NUL on are cut off: the kernel would not see them.
  public init(bytes: [UInt8]) {
    self.bytes = bytes.firstIndex(of: 0).map { Array(bytes[..<$0]) } ?? bytes
  }

  public init(_ text: String) { self.init(bytes: [UInt8](text.utf8)) }

  public init(stringLiteral text: String) { self.init(text) }

  /// The text for people; what is not UTF-8 is replaced.
  public var description: String { String(decoding: bytes, as: UTF8.self) }

  /// The path's text, or nil where it is not UTF-8.
  public var text: String? { String(validating: bytes, as: UTF8.self) }

  public var isAbsolute: Bool { bytes.first == Self.slash }

  /// This path with `name` below it.
  public func appending(_ name: [UInt8]) -> FilePath {
    guard !bytes.isEmpty else { return FilePath(bytes: name) }
    return FilePath(bytes: bytes.last == Self.slash ? bytes + name : bytes + [Self.slash] + name)
  }

  /// This path with `name` below it.
  public func appending(_ name: String) -> FilePath { appending([UInt8](name.utf8)) }

  /// What stands after the last slash.
  public var lastComponent: [UInt8] {
    guard let slash = bytes.lastIndex(of: Self.slash) else { return bytes }
    return Array(bytes[(slash + 1)...])
  }

  /// The directory that holds it: `.` for a bare name, `/` for what stands at the root.
  public var parent: FilePath {
    guard let slash = bytes.lastIndex(of: Self.slash) else { return "." }
    return slash == 0 ? "/" : FilePath(bytes: Array(bytes[..<slash]))
  }

  private static let slash = UInt8(ascii: "/")
}
