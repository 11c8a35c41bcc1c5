internal import HTTPCodec

/// What a request wants of a content that never changes: all, a part, or nothing new. Pure.
enum ContentRange: Equatable {
  case whole
  case part(offset: UInt64, count: UInt64)
  case unsatisfiable
  /// The client has it (RFC 9110 §13.1.2).
  case notModified

  init(_ head: HTTPRequestHead, tag: String, size: UInt64) {
    let known = head.headers.list("if-none-match")
    if known.contains(where: { $0 == "*" || $0 == tag || $0 == "W/\(tag)" }) {
      self = .notModified
      return
    }
    // RFC 9110 §14.2: a range has a meaning for GET alone.
    guard head.method == .get, let field = head.headers.first("range"),
      head.headers.first("if-range").map({ $0 == tag }) ?? true
    else {
      self = .whole
      return
    }
    self.init(field, size: size)
  }

  /// Reads a Range field. One part of bytes is given; what is malformed or asks for several parts
  /// is passed over, as RFC 9110 §14.2 allows.
  init(_ field: String, size: UInt64) {
    self = .whole
    guard field.prefix(6).lowercased() == "bytes=" else { return }
    let ends = field.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2 else { return }
    if ends[0].isEmpty {
      guard let count = Self.number(ends[1]) else { return }
      if count == 0 || size == 0 {
        self = .unsatisfiable
      } else {
        self = .part(offset: size - min(count, size), count: min(count, size))
      }
      return
    }
    guard let first = Self.number(ends[0]) else { return }
    var last = UInt64.max
    if !ends[1].isEmpty {
      guard let found = Self.number(ends[1]), found >= first else { return }
      last = found
    }
    if first >= size {
      self = .unsatisfiable
    } else {
      self = .part(offset: first, count: min(last, size - 1) - first + 1)
    }
  }

  /// Decimal digits alone; what is past 64 bits counts as the largest number.
  private static func number(_ text: Substring) -> UInt64? {
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 &- 48 < 10 }) else { return nil }
    return UInt64(text) ?? .max
  }
}
