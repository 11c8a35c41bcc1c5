internal import HTTPCodec

/// What tells one state of a content from another.
struct ContentValidators {
  /// A strong entity tag, in its quotes.
  var tag: String
  /// Seconds since 1970; nil for what has no such time.
  var modified: Int?
  var size: UInt64
}

/// What a request wants of a content: all, a part, or nothing new. Pure.
enum ContentRange: Equatable {
  case whole
  case part(offset: UInt64, count: UInt64)
  case unsatisfiable
  /// The client has it (RFC 9110 §13.1.2).
  case notModified
  /// It is not what the client wants to have a part of (RFC 9110 §13.1.1, §13.1.4).
  case preconditionFailed

  /// Looks at the conditions in the order of RFC 9110 §13.2.2.
  init(_ head: HTTPRequestHead, _ content: ContentValidators) {
    guard Self.isExpected(head.headers, content) else {
      self = .preconditionFailed
      return
    }
    guard !Self.isKnown(head.headers, content) else {
      self = .notModified
      return
    }
    // RFC 9110 §14.2: a range has a meaning for GET alone.
    guard head.method == .get, let field = head.headers.first("range"),
      head.headers.first("if-range").map({ Self.isSame($0, content) }) ?? true
    else {
      self = .whole
      return
    }
    self.init(field, size: content.size)
  }

  /// If-Match compares strongly; If-Unmodified-Since counts without it alone.
  private static func isExpected(_ headers: HTTPHeaders, _ content: ContentValidators) -> Bool {
    if headers.contains("if-match") {
      return headers.list("if-match").contains { $0 == "*" || $0 == content.tag }
    }
    guard let modified = content.modified,
      let since = headers.first("if-unmodified-since").flatMap(HTTPDate.seconds)
    else { return true }
    return modified <= since
  }

  /// If-None-Match compares weakly; If-Modified-Since counts without it alone.
  private static func isKnown(_ headers: HTTPHeaders, _ content: ContentValidators) -> Bool {
    if headers.contains("if-none-match") {
      let known = headers.list("if-none-match")
      return known.contains { $0 == "*" || $0 == content.tag || $0 == "W/\(content.tag)" }
    }
    guard let modified = content.modified,
      let since = headers.first("if-modified-since").flatMap(HTTPDate.seconds)
    else { return false }
    return modified <= since
  }

  /// RFC 9110 §13.1.5: the tag, strongly, or the very date.
  private static func isSame(_ text: String, _ content: ContentValidators) -> Bool {
    if text == content.tag { return true }
    guard let modified = content.modified else { return false }
    return text == HTTPDate.text(secondsSince1970: modified)
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
