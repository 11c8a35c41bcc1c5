import Bytes
import PresenceCore
import Testing

/// Joins, leaves and resuming (S000-16; reliability P11, P12).
@Suite struct MembershipTests {
  @Test func showsAJoinAndACleanLeaveInTheirTurn() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", user: "ann", info: "{}"), on: link)
    scene.turn()
    #expect(scene.events(on: link) == [.joined(user("ann"))])
    #expect(scene.observers[link]?.view(lobby).shown[user("ann")]?.info == [UInt8]("{}".utf8))
    scene.leave("c1", on: link)
    scene.turn()
    #expect(scene.events(on: link) == [.left(user("ann"))])
    scene.expectNoBreaches()
  }

  @Test func aUserWithSeveralConnectionsLeavesWithTheLast() {
    var scene = Scene()
    let a = scene.attach("a")
    let b = scene.attach("b")
    scene.watch(on: a)
    scene.join(joining("c1", user: "ann"), on: a)
    scene.join(joining("c1", user: "ann"), on: b)
    scene.join(joining("c2", user: "ann"), on: b)
    scene.turn()
    #expect(scene.events(on: a) == [.joined(user("ann"))])
    #expect(scene.board.stats(of: lobby) == PresenceStats(connections: 3, members: 1))
    scene.leave("c1", on: a)
    scene.leave("c2", on: b)
    scene.turn()
    #expect(scene.events(on: a) == [])
    scene.leave("c1", on: b)
    scene.turn()
    #expect(scene.events(on: a) == [.left(user("ann"))])
  }

  @Test func usersAreBytesNotCharacters() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", user: "caf\u{e9}"), on: link)
    scene.join(joining("c2", user: "cafe\u{301}"), on: link)
    scene.turn()
    #expect(scene.board.stats(of: lobby) == PresenceStats(connections: 2, members: 2))
    #expect(scene.events(on: link).count == 2)
  }

  @Test func connectionsWithoutUserOrSessionAreMembersThemselves() {
    var scene = Scene()
    let a = scene.attach("a")
    let b = scene.attach("b")
    scene.watch(on: a)
    scene.join(joining("c1"), on: a)
    scene.join(joining("c1"), on: b)
    scene.turn()
    #expect(scene.keys(on: a) == [connection("c1", at: "a"), connection("c1", at: "b")])
    scene.leave("c1", on: b)
    scene.turn()
    #expect(scene.keys(on: a) == [connection("c1", at: "a")])
  }

  @Test func joinAndLeaveWithinATurnCancelOut() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", user: "ann"), on: link)
    scene.leave("c1", on: link)
    scene.turn()
    #expect(scene.observers[link]?.view(lobby).changes == 0)
  }

  @Test func leaveAndJoinWithinATurnOfAShownMemberCancelOut() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", user: "ann"), on: link)
    scene.turn()
    scene.leave("c1", on: link)
    scene.join(joining("c1", user: "ann"), on: link)
    scene.turn()
    #expect(scene.observers[link]?.view(lobby).changes == 1)
    scene.leave("c1", on: link)
    scene.join(joining("c1", user: "ann", info: "away"), on: link)
    scene.turn()
    #expect(scene.events(on: link) == [.joined(user("ann"))])
    #expect(scene.observers[link]?.view(lobby).shown[user("ann")]?.info == [UInt8]("away".utf8))
  }

  @Test func joiningTwiceIsJoiningOnceAndUpdatesInfo() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", user: "ann"), on: link)
    scene.turn()
    scene.join(joining("c1", user: "ann"), on: link)
    scene.turn()
    #expect(scene.observers[link]?.view(lobby).changes == 1)
    scene.join(joining("c1", user: "ann", info: "away"), on: link)
    scene.turn()
    #expect(scene.observers[link]?.view(lobby).changes == 2)
    #expect(scene.board.stats(of: lobby) == PresenceStats(connections: 1, members: 1))
    scene.leave("c1", on: link)
    scene.turn()
    #expect(scene.events(on: link) == [.joined(user("ann")), .left(user("ann"))])
    #expect(scene.board.totals.infoBytes == 0)
  }

  @Test func aConnectionThatBecomesAnotherUserChangesMember() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", session: "s"), on: link)
    scene.turn()
    scene.join(joining("c1", user: "ann", session: "s"), on: link)
    scene.turn()
    #expect(
      scene.events(on: link) == [.joined(session("s")), .left(session("s")), .joined(user("ann"))])
    #expect(scene.board.stats(of: lobby).connections == 1)
  }

  @Test func aLostConnectionLeavesAfterTheGrace() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", user: "ann"), on: link)
    scene.turn()
    scene.leave("c1", lobby, .lost, on: link)
    scene.advance(by: .milliseconds(4_999), alive: [link])
    #expect(scene.keys(on: link) == [user("ann")])
    scene.advance(by: .milliseconds(1), alive: [link])
    #expect(scene.keys(on: link) == [])
  }

  @Test(arguments: ["session", "user", "same connection"])
  func resumingWithinTheGraceShowsNothing(by means: String) {
    var scene = Scene()
    let a = scene.attach("a")
    let b = scene.attach("b")
    scene.watch(on: a)
    let isUser = means == "user"
    let before = joining(
      "c1", user: isUser ? "ann" : nil, session: means == "session" ? "s" : nil)
    scene.join(before, on: a)
    scene.turn()
    #expect(scene.events(on: a).count == 1)
    scene.leave("c1", lobby, .lost, on: a)
    scene.advance(by: .seconds(4), alive: [a, b])
    if means == "same connection" {
      scene.join(before, on: a)
    } else {
      var after = before
      after.client = clientID("c9")
      scene.join(after, on: b)
    }
    scene.advance(by: .seconds(20), alive: [a, b])
    #expect(scene.events(on: a) == [])
    #expect(scene.board.stats(of: lobby) == PresenceStats(connections: 1, members: 1))
  }

  @Test func aResumedSessionThatSaysGoodbyeLeavesAtOnce() {
    var scene = Scene()
    let a = scene.attach("a")
    let b = scene.attach("b")
    scene.watch(on: a)
    scene.join(joining("c1", session: "s"), on: a)
    scene.leave("c1", lobby, .lost, on: a)
    scene.turn()
    scene.join(joining("c2", session: "s"), on: b)
    scene.turn()
    scene.leave("c2", on: b)
    scene.turn()
    #expect(scene.keys(on: a) == [])
  }

  @Test func anotherDeviceDoesNotTakeALostOnesPlace() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("phone", user: "ann", session: "p"), on: link)
    scene.leave("phone", lobby, .lost, on: link)
    scene.join(joining("desk", user: "ann", session: "d"), on: link)
    scene.turn()
    scene.leave("desk", on: link)
    scene.turn()
    scene.join(joining("phone2", user: "ann", session: "p"), on: link)
    scene.advance(by: .seconds(10), alive: [link])
    #expect(scene.events(on: link) == [.joined(user("ann"))])
  }

  @Test func leavesOfUnknownConnectionsAreIgnored() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.leave("nobody", on: link)
    scene.leave("nobody", channelName("nowhere"), .lost, on: link)
    scene.turn()
    #expect(scene.events(on: link) == [])
    #expect(scene.answers == [])
  }
}
