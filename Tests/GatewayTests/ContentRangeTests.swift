import HTTPCodec
import Testing

@testable import GatewayCore

struct ContentRangeTests {
  @Test(arguments: [
    ("bytes=0-0", ContentRange.part(offset: 0, count: 1)), ("bytes=0-", .part(offset: 0, count: 100)),
    ("BYTES=10-19", .part(offset: 10, count: 10)), ("bytes=99-", .part(offset: 99, count: 1)),
    ("bytes=50-1000", .part(offset: 50, count: 50)), ("bytes=-1", .part(offset: 99, count: 1)),
    ("bytes=-1000", .part(offset: 0, count: 100)),
    ("bytes=0-99999999999999999999999", .part(offset: 0, count: 100)),
    ("bytes=-99999999999999999999999", .part(offset: 0, count: 100)),
    ("bytes=100-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
    ("bytes=99999999999999999999999-", .unsatisfiable),
    ("", .whole), ("bytes", .whole), ("bytes=", .whole), ("bytes=-", .whole), ("bytes=5", .whole),
    ("bytes=9-3", .whole), ("bytes=0-1,3-4", .whole), ("bytes=a-b", .whole), ("bytes=+1-2", .whole),
    ("bytes=--1", .whole), ("items=0-1", .whole), ("bytes=1-2-3", .whole),
  ] as [(String, ContentRange)])
  func onePartOfBytesIsGivenAndAllElsePassedOver(field: String, range: ContentRange) {
    #expect(ContentRange(field, size: 100) == range)
  }

  @Test func anEmptyContentHasNoParts() {
    for field in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
      #expect(ContentRange(field, size: 0) == .unsatisfiable)
    }
  }

  @Test func theLargestContentDoesNotOverflow() {
    #expect(ContentRange("bytes=0-", size: .max) == .part(offset: 0, count: .max))
  }

  @Test(arguments: [
    ("GET", "If-None-Match: \"t\"", ContentRange.notModified), ("HEAD", "If-None-Match: \"t\"", .notModified),
    ("GET", "If-None-Match: \"a\", W/\"t\"", .notModified), ("GET", "If-None-Match: *", .notModified),
    ("GET", "If-None-Match: \"a\"", .whole), ("GET", "If-None-Match: t", .whole),
    ("GET", "Range: bytes=1-2", .part(offset: 1, count: 2)), ("HEAD", "Range: bytes=1-2", .whole),
    ("GET", "Range: bytes=1-2\r\nIf-Range: \"t\"", .part(offset: 1, count: 2)),
    ("GET", "Range: bytes=1-2\r\nIf-Range: W/\"t\"", .whole),
    ("GET", "Range: bytes=1-2\r\nIf-None-Match: \"t\"", .notModified),
    ("GET", "If-Match: \"a\", \"t\"", .whole), ("GET", "If-Match: *", .whole),
    ("GET", "If-Match: \"a\"", .preconditionFailed), ("GET", "If-Match: W/\"t\"", .preconditionFailed),
    ("GET", "If-Match: \"a\"\r\nIf-None-Match: \"t\"", .preconditionFailed),
    ("GET", "If-Modified-Since: Thu, 01 Jan 1970 00:16:40 GMT", .notModified),
    ("GET", "If-Modified-Since: Thu, 01 Jan 1970 00:16:39 GMT", .whole),
    ("GET", "If-Modified-Since: yesterday", .whole),
    ("GET", "If-Modified-Since: Thu, 01 Jan 1970 00:16:40 GMT\r\nIf-None-Match: \"a\"", .whole),
    ("GET", "If-Unmodified-Since: Thu, 01 Jan 1970 00:16:40 GMT", .whole),
    ("GET", "If-Unmodified-Since: Thu, 01 Jan 1970 00:16:39 GMT", .preconditionFailed),
    ("GET", "If-Match: \"t\"\r\nIf-Unmodified-Since: Thu, 01 Jan 1970 00:16:39 GMT", .whole),
    (
      "GET", "Range: bytes=1-2\r\nIf-Range: Thu, 01 Jan 1970 00:16:40 GMT",
      .part(offset: 1, count: 2)
    ),
    ("GET", "Range: bytes=1-2\r\nIf-Range: Thu, 01 Jan 1970 00:16:41 GMT", .whole),
  ] as [(String, String, ContentRange)])
  func whatTheClientHasIsNotSentAgain(method: String, fields: String, range: ContentRange) throws {
    var reader = HTTPRequestReader()
    var offset = 0
    let bytes = [UInt8]("\(method) /vault/x HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n".utf8)
    let head = try #require(try reader.next(bytes.span, from: &offset))
    let content = ContentValidators(tag: "\"t\"", modified: 1_000, size: 100)
    #expect(ContentRange(head, content) == range)
  }
}
