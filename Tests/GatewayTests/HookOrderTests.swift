import Bytes
import Testing

@testable import GatewayCore

/// What a client says behind a message that a back end is asked about.
@Suite struct HookOrderTests {
  private let room = ChannelName("room").unsafelyThere
  private let other = ChannelName("other").unsafelyThere

  /// Runs all that may go on.
  private func run(_ order: inout HookOrder) { while let step = order.next() { step() } }

  @Test func messagesWaitForTheAnswerAndGoOnInTheirOrder() {
    var order = HookOrder()
    #expect(!order.isHolding)
    order.begin(bytes: 5)
    var done: [Int] = []
    for index in 0..<200 { #expect(order.hold(bytes: 10) { done.append(index) }) }
    run(&order)
    #expect(done == [] && order.isHolding && order.heldBytes == 2_005)
    order.end()
    run(&order)
    #expect(done == Array(0..<200) && !order.isHolding && order.heldBytes == 0)
  }

  @Test func oneOfThemThatIsAskedAboutHoldsUpTheRest() {
    var order = HookOrder()
    var done: [String] = []
    order.begin()
    #expect(order.hold(bytes: 1) { done.append("first") })
    #expect(order.hold(bytes: 1) { done.append("second") })
    order.end()
    let first = order.next()
    first?()
    order.begin()
    #expect(order.next() == nil)
    order.end()
    run(&order)
    #expect(done == ["first", "second"])
  }

  @Test func subscriptionsToOtherChannelsAreAskedForTogether() {
    var order = HookOrder()
    order.begin(subscribing: room)
    #expect(order.mayPass(subscribing: other) && !order.mayPass(subscribing: room))
    order.begin(subscribing: other)
    order.end(subscribing: room)
    #expect(order.isHolding && order.subscribingCount == 1)
    order.end(subscribing: other)
    #expect(!order.isHolding)
  }

  @Test func noSubscriptionOvertakesWhatWaits() {
    var order = HookOrder()
    order.begin(subscribing: room)
    #expect(order.hold(bytes: 1) {})
    #expect(!order.mayPass(subscribing: other))
    order.end(subscribing: room)
    order.begin()
    #expect(!order.mayPass(subscribing: other))
  }

  @Test func asManySubscriptionsAsMayBeAreAskedForAtOnce() throws {
    var order = HookOrder()
    for index in 0..<HookOrder.subscribingMax {
      let name = try #require(ChannelName("c\(index)"))
      #expect(order.mayPass(subscribing: name))
      order.begin(subscribing: name)
    }
    #expect(!order.mayPass(subscribing: room))
  }

  @Test func whatWaitsHasABound() {
    var order = HookOrder()
    order.begin()
    for _ in 0..<HookOrder.countMax { #expect(order.hold(bytes: 1) {}) }
    #expect(!order.hold(bytes: 1) {})
    var large = HookOrder()
    large.begin()
    // One fits, whatever its size.
    #expect(large.hold(bytes: HookOrder.bytesMax + 1) {})
    #expect(!large.hold(bytes: 1) {})
  }
}

extension ChannelName? {
  /// A name that is written in a test.
  fileprivate var unsafelyThere: ChannelName {
    guard let self else { preconditionFailure("this is a channel's name") }
    return self
  }
}
