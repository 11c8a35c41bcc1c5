import Bytes
import Client
import Loop
import Platform
import TestKit
import Testing

extension ServiceTests {
  /// The client library against the real gateway.
  struct ClientLibrary {
    /// RFC 7692 between our two ends: what one compresses the other reads, byte for byte.
    @Test func publicationsGoCompressedBothWays() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let address = try cluster.gateway()
        let url = try #require(ServerURL("http://\(address.authority)"))
        let channel = try #require(ChannelName("room:compressed"))
        let loop = try EventLoop()
        var options = ClientOptions(url: url, key: cluster.options.key)
        options.compression = .on
        var arrived: [[UInt8]] = []
        var emitted = 0
        let client = RealtimeClient(options, on: loop) { event in
          switch event {
          case .publication(let publication): arrived.append(publication.payload.bytes)
          case .emitted: emitted += 1
          default: break
          }
        }
        client.subscribe(channel)
        client.open()
        let sent = [10, 2_000, 30_000].map { count in
          (0..<count).map { "\($0 &* 7_919 % 65_537)" }.joined(separator: " ")
        }
        for text in sent { _ = try client.emit(channel, Payload(text: text)) }
        let deadline = SystemClock.monotonic() + .seconds(20)
        while arrived.count < sent.count || emitted < sent.count, SystemClock.monotonic() < deadline {
          loop.turn(waiting: .milliseconds(50))
        }
        #expect(arrived == sent.map { [UInt8]($0.utf8) } && emitted == sent.count)
        let metrics = try TestLoop().http(address, "GET", "/metrics").text
        #expect(metrics.contains("sapphire_gateway_inflations_total{service=\"gateway\"} 2\n"))
        #expect(metrics.contains("sapphire_gateway_compressions_total{service=\"gateway\"} 2\n"))
        client.close()
        loop.turn(waiting: .zero)
      }
    }
  }
}
