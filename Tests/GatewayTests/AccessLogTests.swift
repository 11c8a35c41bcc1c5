import HTTPCodec
import Testing

@testable import GatewayCore

@Suite struct RequestIDTests {
  private func taken(_ fields: String) throws -> String? {
    RequestID(try requestHead("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n").headers)?.description
  }

  @Test(arguments: [
    "a", "7b3c0a4e-5f0e-4f3a-9c61-0d1f6f0f9a11", "Root=1-67891233-abcdef012345678912345678", "a.b_c~d:e/f+g@h",
    String(repeating: "x", count: 128),
  ])
  func aSaneIdIsTakenOver(id: String) throws { #expect(try taken("X-Request-Id: \(id)\r\n") == id) }

  @Test(arguments: [
    "", "X-Request-Id:\r\n", "X-Request-Id: a b\r\n", "X-Request-Id: a,b\r\n", "X-Request-Id: a\"b\r\n",
    "X-Request-Id: \u{E9}\r\n", "X-Request-Id: <script>\r\n", "X-Request-Id: a;b\r\n", "X-Request-Id: a%0d%0ab\r\n",
    "X-Request-Id: \(String(repeating: "x", count: 129))\r\n", "X-Request-Id: a\r\nx-request-id: b\r\n",
  ])
  func anyOtherIsNot(fields: String) throws { #expect(try taken(fields) == nil) }

  @Test func thoseMadeHereDifferAndLookAlike() {
    let ids = (0..<10_000).map { RequestID(number: $0 &* 3).description }
    #expect(Set(ids).count == ids.count)
    #expect(ids.allSatisfy { $0.utf8.count == 16 })
  }
}

@Suite struct AccessLogTests {
  @Test(arguments: [
    ("/", "/"), ("/app.js", "/app.js"), ("/nothing-here", "-"), ("/a/b/c", "-"), ("/health", "/health"),
    ("/ws/private:channel?token=secret", "/ws/…"), ("/ws?channel=a&since=b", "/ws"),
    ("/ws/events/secret", "/ws/…"), ("/api/publish", "/api/…"), ("/vault/0123", "/vault/…"),
  ])
  func tellsAnAddressByItsPattern(target: String, pattern: String) throws {
    let head = try requestHead("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(AccessLog.pattern(Route(head), head) == pattern)
  }

  @Test func whatIsNoRequestHasNoAddress() { #expect(AccessLog.pattern(.notFound, nil) == "-") }
}
