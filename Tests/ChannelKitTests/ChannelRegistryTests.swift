import Bytes
import ChannelKit
import Testing

@Suite struct ChannelRegistryTests {
  private let registry: ChannelRegistry
  private let channel: ChannelName

  init() throws {
    var registry = ChannelRegistry()
    registry.register(FoldingChannel.self)
    registry.register(MergingChannel.self)
    registry.register(PassingChannel.self)
    self.registry = registry
    channel = try #require(ChannelName("test:a"))
  }

  @Test func listsNamesInOrder() {
    #expect(registry.names == ["folding", "merging", "passing"])
    #expect(registry.traits(of: "folding")?.state == .folded)
    #expect(registry.traits(of: "other") == nil)
  }

  @Test func refusesATypeThatIsNotCompiledIn() {
    let error = refusal("other", [:], .none)
    #expect(error?.reason == "no channel type other; there are: folding, merging, passing")
  }

  @Test func refusesAMisspeltOption() {
    #expect(
      refusal("merging", ["framesPerSecnd": 30], .none)?.description
        == "options.framesPerSecnd: no such option; there are: framesPerSecond")
    #expect(
      refusal("passing", ["x": 1], .none)?.description
        == "options.x: this type has no options")
  }

  @Test func refusesAHistoryThatTheTypeCannotWorkWith() {
    #expect(refusal("folding", [:], .none) != nil)
    #expect(refusal("folding", [:], .memory) == nil)
    #expect(refusal("folding", [:], .durable) == nil)
  }

  @Test(arguments: [ChannelHistory.memory, .durable])
  func refusesHistoryWhereDeliveryMerges(history: ChannelHistory) {
    #expect(refusal("merging", [:], history) != nil)
    #expect(refusal("merging", [:], .none) == nil)
  }

  @Test func keepsTheHotPathTraitsOfAChannel() throws {
    let passing = try make("passing", .none)
    #expect(passing.isPassThrough && passing.delivery == .immediate)
    let merging = try make("merging", .none)
    #expect(!merging.isPassThrough && merging.delivery == .latestPerKey(framesPerSecond: 20))
  }

  @Test func appliesOnlyWhatTakesPartInTheState() throws {
    var folding = try make("folding", .memory)
    folding.apply(Publication(offset: Offset(1), timeMs: 0, payload: Payload(text: "a")))
    folding.apply(Publication(offset: nil, timeMs: 0, payload: Payload(text: "b")))
    #expect(folding.snapshot() == [Payload(text: "a")])
    var soft = try make("merging", .none)
    soft.apply(Publication(offset: nil, timeMs: 0, payload: Payload(text: "b")))
    #expect(soft.snapshot() == [Payload(text: "b")])
    var none = try make("passing", .none)
    none.apply(Publication(offset: Offset(1), timeMs: 0, payload: Payload(text: "a")))
    #expect(none.snapshot() == [])
  }

  @Test func choosesWhomEffectsReachByTheSender() throws {
    let folding = try make("folding", .memory)
    let event = ChannelEvent(Payload(text: "a"))
    let client = ClientContext(id: ClientID("c"))
    #expect(try folding.decide(event, from: client).count == 2)
    #expect(throws: ChannelError.self) { try folding.decide(event, from: .api) }
    #expect(throws: ChannelError.self) { try folding.left(client) }
    #expect(try folding.due(TimerToken(1), for: client) == [.send(Payload(text: "due"))])
    #expect(try folding.admit(client) == [])
  }

  @Test func aDuplicateNameStopsTheProcess() async {
    await #expect(processExitsWith: .failure) {
      var registry = ChannelRegistry()
      registry.register(PassingChannel.self)
      registry.register(PassingChannel.self)
    }
  }

  @Test func aFoldWithoutAHistoryStopsTheProcess() async {
    await #expect(processExitsWith: .failure) {
      var registry = ChannelRegistry()
      registry.register(RootlessChannel.self)
    }
  }

  private func make(_ name: String, _ history: ChannelHistory) throws -> AnyChannel {
    try registry.make(name, channel: channel, options: ChannelOptions(), history: history)
  }

  private func refusal(
    _ name: String, _ options: [String: OptionValue], _ history: ChannelHistory
  ) -> ChannelOptionsError? {
    do throws(ChannelOptionsError) {
      try registry.check(name, options: ChannelOptions(options), history: history)
      return nil
    } catch {
      return error
    }
  }
}

private struct FoldingChannel: ChannelType {
  static let name = "folding"
  static let state = StateUse.folded
  static let history = HistoryRequirement.kept
  private var seen: [Payload] = []

  init(channel: ChannelName, options: inout ChannelOptions) {}

  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {
    effects.publish(event.payload)
    effects.send(event.payload)
  }
  func due(_ timer: TimerToken, for client: ClientContext, _ effects: inout Effects) {
    effects.send(Payload(text: "due"))
  }
  func left(_ client: ClientContext, _ effects: inout Effects) {
    effects.send(Payload(text: "too late"))
  }
  mutating func apply(_ publication: Publication) { seen.append(publication.payload) }
  func snapshot() -> [Payload] { seen }
}

private struct MergingChannel: ChannelType {
  static let name = "merging"
  static let state = StateUse.soft
  let delivery: Delivery
  private var seen: [Payload] = []

  init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    delivery = .latestPerKey(
      framesPerSecond: try options.int("framesPerSecond", in: 1...120) ?? 20)
  }

  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {}
  mutating func apply(_ publication: Publication) { seen.append(publication.payload) }
  func snapshot() -> [Payload] { seen }
}

private struct PassingChannel: ChannelType {
  static let name = "passing"
  var isPassThrough: Bool { true }
  private var seen: [Payload] = []

  init(channel: ChannelName, options: inout ChannelOptions) {}
  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {}
  mutating func apply(_ publication: Publication) { seen.append(publication.payload) }
  func snapshot() -> [Payload] { seen }
}

private struct RootlessChannel: ChannelType {
  static let name = "rootless"
  static let state = StateUse.folded
  init(channel: ChannelName, options: inout ChannelOptions) {}
  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {}
}
