/// What is looked for in every head.
private enum Known {
  static let host = [UInt8]("host".utf8)
  static let expect = [UInt8]("expect".utf8)
  static let upgrade = [UInt8]("upgrade".utf8)
  static let connection = [UInt8]("connection".utf8)
  static let contentLength = [UInt8]("content-length".utf8)
  static let transferEncoding = [UInt8]("transfer-encoding".utf8)
  static let close = [UInt8]("close".utf8)
}

/// What the fields of a head say about the message itself.
struct HTTPFields {
  var list: [HTTPHeaders.Field] = []
  var host: Range<Int>?
  var contentLength: Int?
  var isChunked = false
  var connectionHasClose = false
  var connectionHasUpgrade = false
  var expectsContinue = false
  var hasUpgrade = false

  /// Reads the lines behind the first one. `version` matters to Transfer-Encoding alone.
  static func parse(
    _ head: HTTPHeadScanner.Head, version: HTTPVersion
  ) throws(HTTPError) -> HTTPFields {
    var fields = HTTPFields()
    fields.list.reserveCapacity(head.lineEnds.count - 1)
    var lineStart = head.lineEnds[0] + 2
    for lineEnd in head.lineEnds.dropFirst() {
      let field = try split(head.bytes, lineStart..<lineEnd)
      try fields.note(field, head.bytes)
      fields.list.append(field)
      lineStart = lineEnd + 2
    }
    if fields.isChunked {
      guard fields.contentLength == nil, version == .http11 else { throw .conflictingFraming }
    }
    return fields
  }

  /// RFC 9112 §5: a token, directly behind it a colon, then the value between optional blanks.
  private static func split(
    _ bytes: [UInt8], _ line: Range<Int>
  ) throws(HTTPError) -> HTTPHeaders.Field {
    var index = line.lowerBound
    while index < line.upperBound, ByteClass.isToken(bytes[index]) { index &+= 1 }
    guard index > line.lowerBound, index < line.upperBound, bytes[index] == UInt8(ascii: ":") else {
      throw .malformedField
    }
    let value = trimmed(bytes, (index + 1)..<line.upperBound)
    // The scanner holds heads to 65,535 bytes.
    return HTTPHeaders.Field(
      nameStart: UInt16(truncatingIfNeeded: line.lowerBound),
      nameEnd: UInt16(truncatingIfNeeded: index),
      valueStart: UInt16(truncatingIfNeeded: value.lowerBound),
      valueEnd: UInt16(truncatingIfNeeded: value.upperBound))
  }

  private mutating func note(_ field: HTTPHeaders.Field, _ bytes: [UInt8]) throws(HTTPError) {
    let name = field.name
    switch name.count {
    case 4 where equalsIgnoringCase(bytes, name, Known.host):
      guard host == nil else { throw .repeatedHost }
      guard HTTPAuthority.isValid(bytes, field.value) else { throw .malformedHost }
      host = field.value
    case 6 where equalsIgnoringCase(bytes, name, Known.expect):
      guard equalsIgnoringCase(bytes, field.value, "100-continue") else {
        throw .unknownExpectation
      }
      expectsContinue = true
    case 7 where equalsIgnoringCase(bytes, name, Known.upgrade):
      hasUpgrade = true
    case 10 where equalsIgnoringCase(bytes, name, Known.connection):
      noteConnection(bytes, field.value)
    case 14 where equalsIgnoringCase(bytes, name, Known.contentLength):
      guard contentLength == nil else { throw .repeatedContentLength }
      contentLength = try Self.length(bytes, field.value)
    case 17 where equalsIgnoringCase(bytes, name, Known.transferEncoding):
      guard !isChunked, equalsIgnoringCase(bytes, field.value, "chunked") else {
        throw .malformedTransferEncoding
      }
      isChunked = true
    default: break
    }
  }

  private mutating func noteConnection(_ bytes: [UInt8], _ value: Range<Int>) {
    forEachListElement(bytes, value) { element in
      if equalsIgnoringCase(bytes, element, Known.close) { connectionHasClose = true }
      if equalsIgnoringCase(bytes, element, Known.upgrade) { connectionHasUpgrade = true }
    }
  }

  /// One or more digits and nothing else; no sign, no list (RFC 9110 §8.6).
  private static func length(_ bytes: [UInt8], _ range: Range<Int>) throws(HTTPError) -> Int {
    guard !range.isEmpty else { throw .malformedContentLength }
    var value = 0
    for index in range {
      guard ByteClass.isDigit(bytes[index]) else { throw .malformedContentLength }
    }
    for index in range {
      let (tenfold, over) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tenfold.addingReportingOverflow(Int(bytes[index] - 48))
      guard !over, !carry else { throw .bodyTooLarge }
      value = sum
    }
    return value
  }
}
