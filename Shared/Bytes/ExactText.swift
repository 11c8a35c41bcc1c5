/// Text that equals only the same bytes of UTF-8.
///
/// `String` equates what looks alike: an `é` of one scalar and one of two. Names and keys from the
/// wire are bytes to everyone else (the disk, clients, other services), so tables that they are
/// looked up in must tell them apart.
public struct ExactText: Hashable, Sendable, CustomStringConvertible {
  public let text: String

  @inlinable public init(_ text: String) { self.text = text }

  /// Linear. The hash may stay `String`'s, since the same bytes are equal strings too.
  @inlinable public static func == (a: ExactText, b: ExactText) -> Bool {
    haveSameBytes(a.text, b.text)
  }

  public var description: String { text }
}

/// Whether two texts are the same bytes of UTF-8, not only the same characters. Linear.
@inlinable public func haveSameBytes(_ a: String, _ b: String) -> Bool {
  a == b && a.utf8.elementsEqual(b.utf8)
}
