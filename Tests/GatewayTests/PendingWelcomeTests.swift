@testable import GatewayCore
import Testing

/// When a socket gets its `connection` message.
@Suite struct PendingWelcomeTests {
  @Test func aSocketWithoutChannelsIsWelcomedAtOnce() {
    var welcome = PendingWelcome()
    #expect(welcome.expect(0) == true)
  }

  @Test func aSocketIsWelcomedWithItsLastChannel() {
    var welcome = PendingWelcome()
    #expect(welcome.expect(2) == false)
    #expect(welcome.answered(channel("a")) == false)
    #expect(welcome.answered(channel("b")) == true)
    #expect(welcome.take().map(\.name) == ["a", "b"])
    #expect(welcome.take().map(\.name) == [])
  }

  @Test(arguments: [0, 1, 2])
  func aRefusedChannelDoesNotHoldUpTheOthers(refused: Int) {
    var welcome = PendingWelcome()
    _ = welcome.expect(3)
    let answers = ["a", "b", "c"].enumerated().map { index, name in
      welcome.answered(index == refused ? nil : channel(name))
    }
    #expect(answers == [false, false, true])
    #expect(welcome.take().count == 2)
  }

  @Test func aSocketWhoseChannelsAreAllRefusedIsWelcomedAllTheSame() {
    var welcome = PendingWelcome()
    _ = welcome.expect(1)
    #expect(welcome.answered(nil) == true)
    #expect(welcome.take().map(\.name) == [])
  }

  @Test func channelsWaitForEachOtherUntilTheMessageOrItsBound() {
    var welcome = PendingWelcome()
    #expect(!welcome.holdsBack)
    _ = welcome.expect(1)
    #expect(!welcome.holdsBack)
    _ = welcome.expect(2)
    #expect(welcome.holdsBack)
    _ = welcome.answered(nil)
    #expect(welcome.holdsBack)
    _ = welcome.answered(nil)
    #expect(!welcome.holdsBack)
    _ = welcome.expect(2)
    welcome.releases()
    #expect(!welcome.holdsBack && welcome.waiting == 2)
  }

  @Test func itIsDueOnce() {
    var welcome = PendingWelcome()
    _ = welcome.expect(1)
    #expect(welcome.answered(nil) == true)
    #expect(welcome.answered(channel("a")) == false)
  }

  private func channel(_ name: String) -> PendingWelcome.Channel {
    (name: name, subscribers: 1, position: nil)
  }
}
