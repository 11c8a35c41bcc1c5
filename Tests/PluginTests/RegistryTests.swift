import ChannelKit
import PluginRegistry
import Testing

@Suite struct RegistryTests {
  private let registry = ChannelRegistry.compiledIn

  @Test func hasTheTypesOfTheDefaultConfiguration() {
    #expect(Set(registry.names).isSuperset(of: ["relay", "broadcast", "cursor", "board", "echo"]))
  }

  /// S001-03, -06, -07, S003-12 to -15: these channels pass payloads through, so that the gateway
  /// need not call their types at all.
  @Test(arguments: ["relay", "broadcast"])
  func passesThroughWithoutOptions(name: String) throws {
    let channel = try make(name, .durable)
    #expect(channel.isPassThrough && channel.delivery == .immediate)
  }

  /// S001-08.
  @Test func knowsTheDirectionOfEachType() {
    #expect(registry.traits(of: "broadcast")?.publishers == [])
    #expect(registry.traits(of: "relay")?.publishers == nil)
    #expect(registry.traits(of: "cursor")?.publishers == nil)
  }

  @Test func refusesHistoriesThatDoNotSuit() throws {
    #expect(throws: ChannelOptionsError.self) { try make("cursor", .memory) }
    #expect(throws: ChannelOptionsError.self) { try make("board", .memory) }
    _ = try make("cursor", .none)
    _ = try make("board", .durable)
  }

  @Test(arguments: [
    ("cursor", "framesPerSecond", OptionValue.number(0)),
    ("cursor", "frame", "lists"),
    ("cursor", "fps", 30),
    ("board", "maxItems", 10_001),
    ("board", "change", "owner"),
    ("relay", "delay", 1),
    ("echo", "delay", 1),
    ("broadcast", "delay", 1),
  ])
  func refusesOptionsByName(type: String, option: String, value: OptionValue) throws {
    let history = type == "board" ? ChannelHistory.durable : .none
    let error = #expect(throws: ChannelOptionsError.self) {
      try registry.check(type, options: ChannelOptions([option: value]), history: history)
    }
    #expect(error?.option == option)
  }

  private func make(_ name: String, _ history: ChannelHistory) throws -> AnyChannel {
    let channel = try #require(ChannelName("test:a"))
    return try registry.make(name, channel: channel, options: ChannelOptions(), history: history)
  }
}
