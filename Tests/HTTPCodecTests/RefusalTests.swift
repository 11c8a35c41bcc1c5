import HTTPCodec
import TestKit
import Testing

/// Reliability catalogue, rows 77 to 79: what could be understood in two ways, or costs too much.
@Suite struct RefusalTests {
  struct Case: Sendable {
    var request: String
    var error: HTTPError
    init(_ request: String, _ error: HTTPError) {
      self.request = request
      self.error = error
    }
    /// A GET of `/` with more fields.
    init(fields: String, _ error: HTTPError) {
      self.init("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\n", error)
    }
    /// A chunked POST with this body.
    init(chunked body: String, _ error: HTTPError) {
      self.init("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\(body)", error)
    }
    init(target: String, _ error: HTTPError) {
      self.init("GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n", error)
    }
    init(host: String, _ error: HTTPError) {
      self.init("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n", error)
    }
  }

  static let framing: [Case] = [
    .init(fields: "Content-Length: 5\r\nTransfer-Encoding: chunked", .conflictingFraming),
    .init(fields: "Transfer-Encoding: chunked\r\nContent-Length: 5", .conflictingFraming),
    .init(fields: "Transfer-Encoding: chunked\r\nContent-Length: 0", .conflictingFraming),
    .init(fields: "Content-Length: 5\r\nContent-Length: 5", .repeatedContentLength),
    .init(fields: "Content-Length: 5\r\ncontent-length: 6", .repeatedContentLength),
    .init(fields: "Content-Length: +5", .malformedContentLength),
    .init(fields: "Content-Length: -5", .malformedContentLength),
    .init(fields: "Content-Length: 5,5", .malformedContentLength),
    .init(fields: "Content-Length: 5, 5", .malformedContentLength),
    .init(fields: "Content-Length: 0x5", .malformedContentLength),
    .init(fields: "Content-Length: 5 5", .malformedContentLength),
    .init(fields: "Content-Length: 5.0", .malformedContentLength),
    .init(fields: "Content-Length: 5e1", .malformedContentLength),
    .init(fields: "Content-Length: 1_000", .malformedContentLength),
    .init(fields: "Content-Length:", .malformedContentLength),
    .init(fields: "Content-Length: \u{0665}", .malformedContentLength),
    .init(fields: "Content-Length: 9223372036854775808", .bodyTooLarge),
    .init(fields: "Content-Length: 99999999999999999999999", .bodyTooLarge),
    .init(fields: "Content-Length: 18446744073709551621", .bodyTooLarge),
    .init(fields: "Content-Length: 1048577", .bodyTooLarge),
    .init(fields: "Transfer-Encoding: xchunked", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: chunked, chunked", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: gzip, chunked", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: chunked, identity", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: identity", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: chunked;q=1", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: \"chunked\"", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: chunked,", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: ,chunked", .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding:", .malformedTransferEncoding),
    .init(
      fields: "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .malformedTransferEncoding
    ),
    .init(
      fields: "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
      .malformedTransferEncoding),
    .init(fields: "Transfer-Encoding: \u{0B}chunked", .controlByte),
    .init("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .conflictingFraming),
  ]

  static let fields: [Case] = [
    .init(fields: "A : b", .malformedField),
    .init(fields: "Content-Length : 5", .malformedField),
    .init(fields: "Transfer-Encoding\t: chunked", .malformedField),
    .init(fields: "Transfer Encoding: chunked", .malformedField),
    .init(fields: ": b", .malformedField),
    .init(fields: "novalue", .malformedField),
    .init(fields: "A(b): c", .malformedField),
    .init(fields: "Content-Length\u{C5}: 5", .malformedField),
    .init(fields: "A: b\r\n c", .obsoleteFold),
    .init(fields: "A: b\r\n\tc", .obsoleteFold),
    .init("GET / HTTP/1.1\r\n Host: h\r\n\r\n", .obsoleteFold),
    .init(fields: "Transfer-Encoding:\r\n chunked", .obsoleteFold),
    .init(fields: "A: b\0c", .controlByte),
    .init(fields: "A\0: b", .controlByte),
    .init(fields: "A: b\u{01}", .controlByte),
    .init(fields: "A: b\u{7F}", .controlByte),
    .init(fields: "A: b\u{1B}[0m", .controlByte),
    .init(fields: "A: b\nB: c", .bareLineFeed),
    .init(fields: "A: b\n", .bareLineFeed),
    .init(fields: "A: b\rB: c", .bareCarriageReturn),
    .init(fields: "A: b\r\r\n", .bareCarriageReturn),
    .init("GET / HTTP/1.1\nHost: h\n\n", .bareLineFeed),
    .init("GET / HTTP/1.1\r\nHost: h\n\r\n", .bareLineFeed),
    .init("GET / HTTP/1.1\r\nHost: h\r\n\n", .bareLineFeed),
    .init("GET / HTTP/1.1\r\nHost: h\r\n\rX", .bareCarriageReturn),
    .init(fields: "Expect: 200-maybe", .unknownExpectation),
  ]

  static let hosts: [Case] = [
    .init("GET / HTTP/1.1\r\n\r\n", .missingHost),
    .init("GET http://h/ HTTP/1.1\r\n\r\n", .missingHost),
    .init(fields: "Host: h", .repeatedHost),
    .init(fields: "hOST: other", .repeatedHost),
    .init("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", .repeatedHost),
    .init(host: "", .malformedHost),
    .init(host: "a b", .malformedHost),
    .init(host: "a, b", .malformedHost),
    .init(host: "user@h", .malformedHost),
    .init(host: "h/path", .malformedHost),
    .init(host: "h:", .malformedHost),
    .init(host: "h:80:80", .malformedHost),
    .init(host: "h:65536", .malformedHost),
    .init(host: "h:8o", .malformedHost),
    .init(host: ":80", .malformedHost),
    .init(host: "::1", .malformedHost),
    .init(host: "[::1", .malformedHost),
    .init(host: "[]", .malformedHost),
    .init(host: "[::1]x", .malformedHost),
    .init(host: "h%00", .malformedHost),
    .init(target: "http://other/", .hostMismatch),
    .init(target: "http://h:81/", .hostMismatch),
    .init(target: "http://h.evil/", .hostMismatch),
    .init(target: "http://h@evil/", .malformedTarget),
    .init(target: "http://evil\\@h/", .malformedTarget),
    .init(target: "ftp://h/", .malformedTarget),
    .init(target: "http:///", .malformedTarget),
    .init(target: "h:80", .malformedTarget),
  ]

  static let lines: [Case] = [
    .init("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", .bareLineFeed),
    .init(" GET / HTTP/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET /  HTTP/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET / HTTP/1.1\tx\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET /\r\n\r\n", .malformedRequestLine),
    .init("GET /\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET / http/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET / HTTP/1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET / HTTP/1.10\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET / HTTP/1,1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("GET / HTTP/1.2\r\nHost: h\r\n\r\n", .unsupportedVersion),
    .init("GET / HTTP/0.9\r\nHost: h\r\n\r\n", .unsupportedVersion),
    .init("GET / HTTP/3.0\r\nHost: h\r\n\r\n", .unsupportedVersion),
    .init("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
    .init("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", .unknownMethod),
    .init("get / HTTP/1.1\r\nHost: h\r\n\r\n", .unknownMethod),
    .init("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", .unknownMethod),
    .init("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", .unknownMethod),
    .init("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", .malformedRequestLine),
    .init("\u{16}\u{03}\u{01}\u{02}", .controlByte),
    .init(target: "*", .malformedTarget),
    .init(target: "/a#b", .malformedRequestLine),
    .init(target: "/a\"b", .malformedRequestLine),
    .init(target: "/<script>", .malformedRequestLine),
    .init(target: "/\u{E9}", .malformedRequestLine),
    .init(target: "/a\\..\\b", .malformedTarget),
    .init(target: "/%", .malformedTarget),
    .init(target: "/%1", .malformedTarget),
    .init(target: "/%zz", .malformedTarget),
    .init(target: "/%00", .malformedTarget),
    .init(target: "/?a=%00", .malformedTarget),
    .init(target: "/?%=1", .malformedTarget),
    .init(target: "/%ff", .malformedTarget),
    .init(target: "/%C0%AF", .malformedTarget),
    .init(target: "/?q=%ED%A0%80", .malformedTarget),
    .init(target: "/.", .dotSegment),
    .init(target: "/a/../b", .dotSegment),
    .init(target: "/..", .dotSegment),
    .init(target: "/%2e%2E/x", .dotSegment),
    .init(target: "/.%2e/x", .dotSegment),
    .init(target: "/a/./b?c", .dotSegment),
    .init(target: "http://h/../x", .dotSegment),
  ]

  static let chunks: [Case] = [
    .init(chunked: "5\nhello\r\n0\r\n\r\n", .malformedChunk),
    .init(chunked: "5\r\nhello\n0\r\n\r\n", .malformedChunk),
    .init(chunked: "5\r\nhelloX\r\n0\r\n\r\n", .malformedChunk),
    .init(chunked: "5\r\nhello0\r\n\r\n", .malformedChunk),
    .init(chunked: "5;a\nhello\r\n", .malformedChunk),
    .init(chunked: "5;a\rhello\r\n", .malformedChunk),
    .init(chunked: "5;a\0\r\n", .malformedChunk),
    .init(chunked: "\r\n", .malformedChunk),
    .init(chunked: ";a\r\n", .malformedChunk),
    .init(chunked: " 5\r\n", .malformedChunk),
    .init(chunked: "5 \r\n", .malformedChunk),
    .init(chunked: "5\t;a\r\n", .malformedChunk),
    .init(chunked: "+5\r\n", .malformedChunk),
    .init(chunked: "-5\r\n", .malformedChunk),
    .init(chunked: "0x5\r\n", .malformedChunk),
    .init(chunked: "5g\r\n", .malformedChunk),
    .init(chunked: "0000000000000005\r\n", .malformedChunk),
    .init(chunked: "ffffffffffffffff\r\n", .bodyTooLarge),
    .init(chunked: "100001\r\n", .bodyTooLarge),
    .init(chunked: "5;" + String(repeating: "x", count: 5_000), .malformedChunk),
    .init(chunked: "0\r\n\n", .malformedField),
    .init(chunked: "0\r\nA: b\n\r\n", .malformedField),
    .init(chunked: "0\r\nA : b\r\n\r\n", .malformedField),
    .init(chunked: "0\r\n: b\r\n\r\n", .malformedField),
    .init(chunked: "0\r\n A: b\r\n\r\n", .malformedField),
    .init(chunked: "0\r\nA: b\0\r\n\r\n", .malformedField),
    .init(chunked: "0\r\nA: b\rx", .bareCarriageReturn),
    .init(chunked: "0\r\n\rx", .malformedChunk),
    .init(chunked: "0\r\n" + String(repeating: "A:\r\n", count: 101), .tooManyFields),
    .init(chunked: "0\r\nA:" + String(repeating: "x", count: 9_000), .headTooLarge),
  ]

  static let sizes: [Case] = [
    .init(fields: String(repeating: "A: b\r\n", count: 2_000), .tooManyFields),
    .init(fields: String(repeating: "a:\r\n", count: 20_000), .tooManyFields),
    .init(fields: "A: " + String(repeating: "x", count: 20_000_000), .fieldTooLong),
    .init(fields: String(repeating: "x", count: 9_000), .fieldTooLong),
    .init(fields: "A: " + String(repeating: "x", count: 8_190), .fieldTooLong),
    .init(
      fields: (0..<3).map { "A\($0): " + String(repeating: "x", count: 6_000) }.joined(
        separator: "\r\n"),
      .headTooLarge),
    .init(target: "/" + String(repeating: "x", count: 8_192), .targetTooLong),
    .init(target: "/" + String(repeating: "x", count: 1_000_000), .targetTooLong),
    .init(String(repeating: "A", count: 10_000), .targetTooLong),
    .init(String(repeating: "A", count: 100) + " / HTTP/1.1\r\nHost: h\r\n\r\n", .unknownMethod),
  ]

  static let cases = framing + fields + hosts + lines + chunks + sizes

  @Test func theTableIsLargeEnough() { #expect(Self.cases.count >= 80) }

  @Test func refusesEachInAnySegmentation() {
    let verifier = DecoderVerifier<Outcome> { readRequests($0) }
    for item in Self.cases where item.request.utf8.count < 4_096 {
      let bytes = utf8(item.request)
      #expect(refusal(bytes) == item.error, "\(item.request.debugDescription)")
      let sample = DecoderVerifier<Outcome>.Sample(
        item.request.debugDescription, bytes, readRequests([bytes]), endsStream: true)
      #expect(verifier.failures(of: [sample]) == [])
    }
  }

  @Test func refusesLongOnesWholeAndInPieces() {
    for item in Self.cases where item.request.utf8.count >= 4_096 {
      let bytes = utf8(item.request)
      #expect(refusal(bytes) == item.error, "\(item.request.prefix(60).debugDescription)")
      let pieces = bytes.prefix(40_000).map { [$0] }
      #expect(readRequests(pieces).last == .failed(item.error))
    }
  }

  @Test func refusesEndlessHeadersBeforeTheyAreKept() throws {
    var reader = HTTPRequestReader()
    let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000)
    var fed = 0
    while fed < 1_000_000 {
      var offset = 0
      do { _ = try reader.next(piece.span, from: &offset) } catch {
        #expect(error == .targetTooLong)
        break
      }
      fed += piece.count
    }
    #expect(fed <= 9_000)
  }

  @Test func theLastBytesWithinTheLimitsAreTaken() throws {
    let target = "/" + String(repeating: "x", count: 8_191)
    #expect(try head("GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n").rawTarget == target)
    let field = "A: " + String(repeating: "x", count: 8_189)
    #expect(try head("GET / HTTP/1.1\r\nHost: h\r\n\(field)\r\n\r\n").headers.count == 2)
    let fields = String(repeating: "A: b\r\n", count: 99)
    #expect(try head("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n").headers.count == 100)
    #expect(refusal(utf8("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\(fields)\r\n")) == .tooManyFields)
  }

  @Test func everyErrorHasItsStatus() {
    let expected: [(HTTPError, Int)] = [
      (.targetTooLong, 414), (.fieldTooLong, 431), (.tooManyFields, 431), (.headTooLarge, 431),
      (.bodyTooLarge, 413), (.unknownMethod, 501), (.unsupportedVersion, 505),
      (.unknownExpectation, 417), (.unwritableField, 500),
    ]
    for (error, status) in expected { #expect(error.status.rawValue == status) }
    let others = Set(Self.cases.map(\.error.status.rawValue)).subtracting(expected.map(\.1))
    #expect(others == [400])
  }
}
