import Client
import Testing

@Suite struct ServerURLTests {
  @Test(arguments: [
    ("http://127.0.0.1:8000", "http://127.0.0.1:8000"), ("http://[::1]:9/", "http://[::1]:9"),
    ("https://example.org", "https://example.org:443"), ("http://[::1]", "http://[::1]:80"),
  ])
  func takesURLsApart(text: String, normal: String) throws {
    #expect(try #require(ServerURL(text)).description == normal)
  }

  @Test(arguments: ["", "127.0.0.1:8000", "ftp://h:1", "http://", "http://h:port", "http://h:1/x"])
  func refusesWhatIsNoServerURL(text: String) {
    #expect(ServerURL(text) == nil)
  }

  @Test func wildcardsAreReachedOnLoopback() throws {
    #expect(try #require(ServerURL("http://0.0.0.0:80")).reachable.host == "127.0.0.1")
    #expect(try #require(ServerURL("http://[::]:80")).reachable.host == "::1")
  }
}
