/// One `name=value` of a query; without `=` the value is empty.
public struct HTTPQueryItem: Hashable, Sendable {
  public var name: String
  public var value: String
  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// What a request is about (RFC 9112 §3.2): path and query, decoded.
public struct HTTPTarget: Equatable, Sendable {
  /// The path's segments, percent-decoded: `/` is none, `/a/` is `a` and an empty one. A segment
  /// may hold a slash that was encoded; it is never `.` or `..`, and holds no NUL.
  public var path: [String]
  /// In order; names and values percent- and plus-decoded.
  public var query: [HTTPQueryItem]

  /// The first value of that name.
  public func query(_ name: String) -> String? { query.first { $0.name == name }?.value }

  /// All values of that name, in order.
  public func queryAll(_ name: String) -> [String] {
    query.filter { $0.name == name }.map(\.value)
  }

  /// Reads `bytes[range]` in origin form: an absolute path, perhaps `?` and a query.
  static func parse(_ bytes: [UInt8], _ range: Range<Int>) throws(HTTPError) -> HTTPTarget {
    guard let first = range.first, bytes[first] == UInt8(ascii: "/") else {
      throw .malformedTarget
    }
    var pathEnd = range.upperBound
    for index in range where bytes[index] == UInt8(ascii: "?") {
      pathEnd = index
      break
    }
    let path = try segments(bytes, (range.lowerBound + 1)..<pathEnd)
    guard pathEnd < range.upperBound else { return HTTPTarget(path: path, query: []) }
    return HTTPTarget(path: path, query: try items(bytes, (pathEnd + 1)..<range.upperBound))
  }

  private static func segments(
    _ bytes: [UInt8], _ range: Range<Int>
  ) throws(HTTPError) -> [String] {
    guard !range.isEmpty else { return [] }
    var segments: [String] = []
    var start = range.lowerBound
    for index in range.lowerBound...range.upperBound {
      guard index == range.upperBound || bytes[index] == UInt8(ascii: "/") else {
        guard bytes[index] != UInt8(ascii: "\\") else { throw .malformedTarget }
        continue
      }
      guard let segment = PercentEncoding.decode(bytes, start..<index, plus: .isPlus) else {
        throw .malformedTarget
      }
      guard segment != ".", segment != ".." else { throw .dotSegment }
      segments.append(segment)
      start = index + 1
    }
    return segments
  }

  private static func items(
    _ bytes: [UInt8], _ range: Range<Int>
  ) throws(HTTPError) -> [HTTPQueryItem] {
    var items: [HTTPQueryItem] = []
    var start = range.lowerBound
    for index in range.lowerBound...range.upperBound {
      guard index == range.upperBound || bytes[index] == UInt8(ascii: "&") else { continue }
      if index > start { items.append(try item(bytes, start..<index)) }
      start = index + 1
    }
    return items
  }

  private static func item(
    _ bytes: [UInt8], _ range: Range<Int>
  ) throws(HTTPError) -> HTTPQueryItem {
    let equals = range.first { bytes[$0] == UInt8(ascii: "=") }
    let nameEnd = equals ?? range.upperBound
    let valueStart = equals.map { $0 + 1 } ?? range.upperBound
    guard let name = PercentEncoding.decode(bytes, range.lowerBound..<nameEnd, plus: .isSpace),
      let value = PercentEncoding.decode(bytes, valueStart..<range.upperBound, plus: .isSpace)
    else { throw .malformedTarget }
    return HTTPQueryItem(name, value)
  }
}
