import Config
import Testing

@Suite struct EndpointTests {
  static func refusal(_ text: String) -> Endpoint.Refusal? {
    do throws(Endpoint.Refusal) {
      _ = try Endpoint(text)
      return nil
    } catch { return error }
  }

  @Test(arguments: [
    ("127.0.0.1:8000", "tcp:127.0.0.1:8000"), ("tcp:example.org:0", "tcp:example.org:0"),
    ("[::1]:65535", "tcp:[::1]:65535"), ("[fe80::1%eth0]:1", "tcp:[fe80::1%eth0]:1"),
    ("unix:/run/sapphire/hub.sock", "unix:/run/sapphire/hub.sock"), ("unix:x", "unix:x"),
    ("my_host-1:80", "tcp:my_host-1:80"),
  ])
  func readsAndWritesBack(text: String, canonical: String) throws {
    let endpoint = try Endpoint(text)
    #expect(endpoint.description == canonical)
    #expect(try Endpoint(canonical) == endpoint)
  }

  @Test(
    arguments: [
      ("", .shape), ("localhost", .shape), ("localhost:", .port("")),
      ("localhost:65536", .port("65536")),
      ("localhost:-1", .port("-1")), ("localhost:+1", .port("+1")),
      ("localhost:http", .port("http")),
      ("::1:8000", .unbracketed), ("[::1]", .port("1]")), ("[zz::1]:1", .host("zz::1")),
      (":80", .host("")),
      ("a b:80", .host("a b")), ("-a:80", .host("-a")), ("300.1.1.1:80", .host("300.1.1.1")),
      ("1.2.3:80", .host("1.2.3")), ("unix:", .emptyPath), ("unix:a\u{0}b", .emptyPath),
    ] as [(String, Endpoint.Refusal)])
  func refusesWhatCanNotBe(text: String, refusal: Endpoint.Refusal) {
    #expect(Self.refusal(text) == refusal)
  }

  @Test func longSocketPathsAreRefusedWithTheRemedy() throws {
    let longest = "unix:/" + String(repeating: "a", count: 106)
    #expect(Self.refusal(longest) == nil)
    let refusal = try #require(Self.refusal(longest + "a"))
    #expect(refusal == .pathTooLong(108))
    #expect(refusal.description.contains("SAPPHIRE_DATA"))
  }

  @Test func knowsWhatOnlyThisMachineReaches() throws {
    for text in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1", "LocalHost:1", "unix:/x"] {
      #expect(try Endpoint(text).isLoopback, "\(text)")
    }
    for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "127.example.org:1", "localhost.example:1"] {
      #expect(try !Endpoint(text).isLoopback, "\(text)")
    }
  }
}
