import HTTPCodec
import Testing

struct ContentCodingTests {
  @Test(arguments: [
    ("gzip", .gzip), ("deflate", .deflate), ("gzip, deflate, br", .gzip), ("deflate,gzip", .gzip),
    ("gzip;q=0.5, deflate;q=0.8", .deflate), ("GZip ; Q=1.0", .gzip), ("x-gzip", .gzip), ("*", .gzip),
    ("gzip;q=0, *;q=0.1", .deflate), ("br, *;q=0.5, gzip;q=0", .deflate), ("gzip;q=1.000", .gzip),
    ("", nil), ("br", nil), ("identity", nil), ("gzip;q=0", nil), ("gzip;q=0.000, deflate;q=0", nil),
    ("*;q=0", nil), ("identity, gzip;q=0.5", nil), ("identity;q=0.5, gzip;q=0.5", .gzip),
    ("gzip;q=2", nil), ("gzip;q=1.001", nil), ("gzip;q=0.1234", nil), ("gzip;q=-1", nil), ("gzip;q=", nil),
    ("gzip;q=a", nil), ("gzip;level=9", nil), (";q=1", nil), (",,, gzip ,,", .gzip), ("gzipped", nil),
  ] as [(String, HTTPContentCoding?)])
  func isWhatTheClientLikesBest(text: String, coding: HTTPContentCoding?) {
    #expect(HTTPContentCoding.preferred([text]) == coding, "\(text)")
  }

  @Test func severalFieldsAreOne() {
    #expect(HTTPContentCoding.preferred([]) == nil)
    #expect(HTTPContentCoding.preferred(["br", "deflate"]) == .deflate)
    #expect(HTTPContentCoding.preferred(["gzip;q=0", "deflate;q=0.3"]) == .deflate)
  }
}
