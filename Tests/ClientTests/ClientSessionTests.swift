import Bytes
import Platform
import Testing

@testable import Client

private func at(_ ms: UInt64) -> Instant { Instant(nanoseconds: (1000 + ms) * 1_000_000) }
private func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

extension [ClientSession.Action] {
  /// The messages that are sent, as text.
  fileprivate var sent: [String] {
    compactMap {
      if case .send(let text) = $0 { String(decoding: text, as: UTF8.self) } else { nil }
    }
  }
  fileprivate var told: [ClientEvent] {
    compactMap { if case .tell(let event) = $0 { event } else { nil } }
  }
}

private struct Scene {
  var session = ClientSession(wantsPresence: false, keyPrefix: "k")
  let channel: ChannelName

  init() throws { channel = try #require(ChannelName("a")) }

  mutating func connect(at ms: UInt64 = 0) -> [ClientSession.Action] {
    _ = session.open()
    return session.connected(now: at(ms))
  }

  mutating func lose(at ms: UInt64, random: Double = 1) -> [ClientSession.Action] {
    session.lost(reason: "x", now: at(ms), random: random)
  }

  /// Loses the connection and has it again.
  mutating func reconnect(at ms: UInt64) -> [ClientSession.Action] {
    _ = lose(at: ms)
    _ = session.deadlineReached(now: at(ms + 60_000), random: 0)
    return session.connected(now: at(ms + 60_000))
  }

  func envelope(_ epoch: String, _ offset: Int) -> [UInt8] {
    bytes(#"{"channel":"a","epoch":"\#(epoch)","offset":\#(offset),"time":1,"data":\#(offset)}"#)
  }
}

@Suite struct ClientSubscriptionTests {
  @Test func subscriptionsAreAskedForOnceConnected() throws {
    var scene = try Scene()
    #expect(scene.session.subscribe(scene.channel, since: .start).isEmpty)
    #expect(
      scene.connect().sent == [#"{"type":"subscribe","id":"1","channel":"a","since":"start"}"#])
    #expect(
      scene.session.received(bytes(#"{"type":"ack","id":"1"}"#)) == [
        .tell(.subscribed(scene.channel))
      ])
  }

  @Test func subscribingTwiceIsSubscribingOnce() throws {
    var scene = try Scene()
    _ = scene.connect()
    #expect(scene.session.subscribe(scene.channel, since: nil).sent.count == 1)
    #expect(scene.session.subscribe(scene.channel, since: .start).isEmpty)
  }

  /// S000-19: nobody is left in a stale state.
  @Test func aReconnectResumesBehindTheLastDeliveredPublication() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: .start)
    _ = scene.connect()
    _ = scene.session.received(scene.envelope("e", 1))
    _ = scene.session.received(scene.envelope("e", 2))
    #expect(
      scene.reconnect(at: 100).sent == [
        #"{"type":"subscribe","id":"2","channel":"a","since":"e:2"}"#
      ])
  }

  @Test func withoutAnyPublicationItResumesAtThePositionOfTheAnswer() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: nil)
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"ack","id":"1","epoch":"e","offset":9}"#))
    #expect(
      scene.reconnect(at: 100).sent == [
        #"{"type":"subscribe","id":"2","channel":"a","since":"e:9"}"#
      ])
  }

  @Test func theAnswersPositionDoesNotReplaceAReplayThatWasAskedFor() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: .start)
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"ack","id":"1","epoch":"e","offset":9}"#))
    #expect(
      scene.reconnect(at: 100).sent == [
        #"{"type":"subscribe","id":"2","channel":"a","since":"start"}"#
      ])
  }

  @Test func whatIsDeliveredTwiceIsToldOnce() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: Since("e:2"))
    _ = scene.connect()
    #expect(scene.session.received(scene.envelope("e", 2)).isEmpty)
    #expect(scene.session.received(scene.envelope("e", 3)).count == 1)
    #expect(scene.session.received(scene.envelope("e", 3)).isEmpty)
    #expect(scene.session.received(scene.envelope("f", 1)).count == 1)
  }

  @Test(arguments: [("trimmed", "e:3", 4), ("epoch_changed", "e:9", 10), ("ahead", "e:9", 10)])
  func afterAnUnrecoverablePositionDeliveryGoesOnWhereTheServerDoes(
    reason: String, position: String, next: Int
  ) throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: Since("old:50"))
    _ = scene.connect()
    let notice =
      #"{"type":"unrecoverable","channel":"a","reason":"\#(reason)","epoch":"e","floor":3,"head":9}"#
    #expect(
      scene.session.received(bytes(notice)).told == [.unrecoverable(scene.channel, reason: reason)])
    #expect(scene.session.position(of: scene.channel) == Position(position))
    #expect(scene.session.received(scene.envelope("e", next)).count == 1)
  }

  @Test func publicationsOfChannelsWithoutHistoryAreAlwaysTold() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: nil)
    _ = scene.connect()
    let envelope = bytes(#"{"channel":"a","time":1,"data":1}"#)
    #expect(scene.session.received(envelope).count == 1)
    #expect(scene.session.received(envelope).count == 1)
  }

  @Test func aRefusedSubscriptionIsToldAndGivenUp() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: nil)
    _ = scene.connect()
    let refusal = ServerRefusal(code: "permission_denied", message: "no")
    let text = #"{"type":"error","id":"1","code":103,"name":"permission_denied","message":"no"}"#
    #expect(
      scene.session.received(bytes(text)).told == [.subscriptionRefused(scene.channel, refusal)])
    #expect(scene.session.channels.isEmpty)
    #expect(scene.reconnect(at: 100).sent.isEmpty)
  }

  private static let passing =
    #"{"type":"error","channel":"a","code":152,"name":"unavailable","message":"no"}"#

  /// A subscription that the server gave up for a while does not stay deaf.
  @Test func aSubscriptionThatTheServerGaveUpIsAskedForAgain() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: .start)
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"ack","id":"1","epoch":"e","offset":9}"#))
    _ = scene.session.received(scene.envelope("e", 3))
    let refusal = ServerRefusal(code: "unavailable", message: "no")
    #expect(scene.session.received(bytes(Self.passing)).told == [.refusal(refusal)])
    #expect(scene.session.nextDeadline == at(1000))
    #expect(
      scene.session.deadlineReached(now: at(1000), random: 0).sent == [
        #"{"type":"subscribe","id":"2","channel":"a","since":"e:3"}"#
      ])
    // Refused again, it waits longer.
    let again = #"{"type":"error","id":"2","channel":"a","code":152,"name":"unavailable"}"#
    _ = scene.session.received(bytes(again))
    #expect(scene.session.nextDeadline == at(2000))
    #expect(scene.session.deadlineReached(now: at(2000), random: 0).sent.count == 1)
    #expect(scene.session.channels == [scene.channel])
    // The silence of the server is noticed all the same.
    #expect(scene.session.deadlineReached(now: at(15_000), random: 0) == [.ping])
  }

  @Test func aSubscriptionThatTheServerEndedForGoodIsGivenUp() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: nil)
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"ack","id":"1"}"#))
    let text =
      #"{"type":"error","channel":"a","code":103,"name":"permission_denied","message":"no"}"#
    let refusal = ServerRefusal(code: "permission_denied", message: "no")
    #expect(
      scene.session.received(bytes(text)).told == [.subscriptionRefused(scene.channel, refusal)])
    #expect(scene.session.channels.isEmpty)
  }

  /// What is no subscription here is no matter of one.
  @Test func aRefusalOfAnotherChannelIsOnlyTold() throws {
    var scene = try Scene()
    _ = scene.connect()
    #expect(scene.session.received(bytes(Self.passing)).told.count == 1)
    #expect(scene.session.deadlineReached(now: at(1000), random: 0).isEmpty)
  }

  /// A board's state comes without a position, whatever the answer's was.
  @Test func stateWithoutAPositionIsTold() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: nil)
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"ack","id":"1","epoch":"e","offset":9}"#))
    let state = bytes(#"{"channel":"a","time":1,"data":{"type":"state"}}"#)
    #expect(scene.session.received(state).count == 1)
    #expect(scene.session.received(state).count == 1)
    #expect(scene.session.position(of: scene.channel) == Position("e:9"))
  }

  @Test func whatWasUnsubscribedIsNotToldAndNotAskedForAgain() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: nil)
    _ = scene.connect()
    #expect(
      scene.session.unsubscribe(scene.channel).sent
        == [#"{"type":"unsubscribe","id":"2","channel":"a"}"#])
    #expect(scene.session.unsubscribe(scene.channel).isEmpty)
    #expect(scene.session.received(scene.envelope("e", 1)).isEmpty)
    #expect(scene.reconnect(at: 100).sent.isEmpty)
  }

  @Test func aReturningClientHandsItsSessionBack() throws {
    var scene = try Scene()
    scene.session = ClientSession(wantsPresence: true, keyPrefix: "k")
    let first = scene.session.open()
    #expect(first.contains(.connect(path: "/ws?presence=1")))
    _ = scene.session.connected(now: at(0))
    _ = scene.session.received(bytes(#"{"type":"connection","session":"s-1_Z"}"#))
    _ = scene.lose(at: 1)
    let again = scene.session.deadlineReached(now: at(60_000), random: 0)
    #expect(again.contains(.connect(path: "/ws?presence=1&session=s-1_Z")))
  }

  @Test func aSessionThatCantStandInAPathIsNotHandedBack() throws {
    var scene = try Scene()
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"connection","session":"a b&c"}"#))
    _ = scene.lose(at: 1)
    let again = scene.session.deadlineReached(now: at(60_000), random: 0)
    #expect(again.contains(.connect(path: "/ws")))
  }
}

@Suite struct ClientEmitTests {
  /// S002-08: what is published while away is delivered on return, in order.
  @Test func publicationsWaitForTheConnection() throws {
    var scene = try Scene()
    _ = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    _ = try scene.session.emit(scene.channel, Payload(json: "[1]"), key: "mine")
    #expect(
      scene.connect().sent == [
        #"{"id":"1","channel":"a","idempotency_key":"k-1","data":"x"}"#,
        #"{"id":"2","channel":"a","idempotency_key":"mine","data":[1]}"#,
      ])
  }

  @Test func anUnansweredPublicationIsSentAgainUnderTheSameKey() throws {
    var scene = try Scene()
    _ = scene.connect()
    let (id, actions) = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    #expect(scene.reconnect(at: 10).sent == actions.sent)
    let answer = bytes(#"{"type":"ack","id":"1","epoch":"e","offset":4}"#)
    #expect(scene.session.received(answer).told == [.emitted(id, Position("e:4"))])
    #expect(scene.reconnect(at: 100_000).sent.isEmpty)
  }

  @Test func aRefusedPublicationFailsAndIsNotSentAgain() throws {
    var scene = try Scene()
    _ = scene.connect()
    let (id, _) = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    let told = scene.session.received(bytes(#"{"type":"error","id":"1","code":155,"message":"m"}"#))
      .told
    #expect(told == [.emitFailed(id, .refused(ServerRefusal(code: "155", message: "m")))])
    #expect(scene.reconnect(at: 10).sent.isEmpty)
  }

  @Test func theQueueIsBoundedInCountAndBytes() throws {
    var scene = try Scene()
    for _ in 0..<ClientSession.emitsMax {
      _ = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    }
    #expect(throws: EmitFailure.queueFull) {
      _ = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    }
    scene = try Scene()
    let large = Payload(text: String(repeating: "x", count: ClientSession.emitBytesMax))
    #expect(throws: EmitFailure.queueFull) {
      _ = try scene.session.emit(scene.channel, large, key: nil)
    }
  }

  @Test func anAnswerMakesRoomAgain() throws {
    var scene = try Scene()
    _ = scene.connect()
    for _ in 0..<ClientSession.emitsMax {
      _ = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    }
    _ = scene.session.received(bytes(#"{"type":"ack","id":"7"}"#))
    _ = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    #expect(scene.session.waitingEmits == ClientSession.emitsMax)
  }

  @Test func answersThatBelongToNothingAreIgnored() throws {
    var scene = try Scene()
    _ = scene.connect()
    #expect(scene.session.received(bytes(#"{"type":"ack","id":"77"}"#)).isEmpty)
    #expect(scene.session.received(bytes(#"{"type":"ack","id":"x"}"#)).isEmpty)
  }

  @Test func closingFailsWhatWaits() throws {
    var scene = try Scene()
    let (id, _) = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    let actions = scene.session.close()
    #expect(
      actions == [
        .disconnect, .tell(.emitFailed(id, .closed)), .tell(.state(.closed(.closedHere))),
      ])
    #expect(throws: EmitFailure.closed) {
      _ = try scene.session.emit(scene.channel, Payload(text: "x"), key: nil)
    }
    #expect(scene.session.close().isEmpty)
  }
}

@Suite struct ClientReconnectTests {
  /// S002-07.
  @Test func theDelaysAre1To30SecondsWithJitterBelow() throws {
    for (random, scale) in [(1.0, 1.0), (0.0, 0.5)] {
      var scene = try Scene()
      _ = scene.session.open()
      var delays: [Int64] = []
      var ms: UInt64 = 0
      for _ in 0..<7 {
        _ = scene.session.lost(reason: "x", now: at(ms), random: random)
        guard let due = scene.session.nextDeadline else { break }
        delays.append(due.since(at(ms)).millisecondsClamped)
        ms += 40_000
        _ = scene.session.deadlineReached(now: at(ms), random: 0)
      }
      let ladder = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
      #expect(delays == ladder.map { Int64(Double($0) * scale) })
    }
  }

  @Test func aSteadyConnectionStartsTheDelaysOver() throws {
    var scene = try Scene()
    _ = scene.connect()
    _ = scene.reconnect(at: 10)
    let told = scene.lose(at: 60_010 + 10_000).told
    #expect(told == [.state(.waiting(.seconds(1), attempt: 1, reason: "x"))])
  }

  @Test func aShortConnectionDoesNot() throws {
    var scene = try Scene()
    _ = scene.connect()
    _ = scene.reconnect(at: 10)
    let told = scene.lose(at: 60_010 + 1000).told
    #expect(told == [.state(.waiting(.seconds(2), attempt: 2, reason: "x"))])
  }

  @Test func theServersOwnDelayIsKept() throws {
    var scene = try Scene()
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"reconnect","after_ms":250}"#))
    #expect(
      scene.lose(at: 10).told == [.state(.waiting(.milliseconds(250), attempt: 1, reason: "x"))])
  }

  @Test func aServersDelayCantPutTheClientToSleepForEver() throws {
    var scene = try Scene()
    _ = scene.connect()
    _ = scene.session.received(bytes(#"{"type":"reconnect","after_ms":9999999999999}"#))
    _ = scene.lose(at: 10)
    #expect(scene.session.nextDeadline == at(60_010))
  }

  @Test func aSilentServerIsAskedAndThenGivenUp() throws {
    var scene = try Scene()
    _ = scene.connect()
    #expect(scene.session.deadlineReached(now: at(14_000), random: 0).isEmpty)
    #expect(scene.session.deadlineReached(now: at(15_000), random: 0) == [.ping])
    #expect(scene.session.deadlineReached(now: at(20_000), random: 0).isEmpty)
    let actions = scene.session.deadlineReached(now: at(30_000), random: 0)
    #expect(actions.first == .disconnect)
    #expect(scene.session.nextDeadline != nil)
  }

  @Test func anythingHeardKeepsTheConnection() throws {
    var scene = try Scene()
    _ = scene.connect()
    _ = scene.session.deadlineReached(now: at(15_000), random: 0)
    scene.session.heard(now: at(16_000))
    #expect(scene.session.deadlineReached(now: at(30_000), random: 0).isEmpty)
    #expect(scene.session.deadlineReached(now: at(31_000), random: 0) == [.ping])
  }

  @Test func aRefusalForGoodIsTheEnd() throws {
    var scene = try Scene()
    _ = scene.session.open()
    let actions = scene.session.refusedForGood(.refused(status: 403))
    #expect(actions == [.disconnect, .tell(.state(.closed(.refused(status: 403))))])
    #expect(scene.session.nextDeadline == nil)
    #expect(scene.session.lost(reason: "x", now: at(1), random: 0).isEmpty)
    #expect(scene.session.open().isEmpty)
  }

  @Test func aConnectionThatStandsTooLateIsLetGo() throws {
    var scene = try Scene()
    _ = scene.session.open()
    _ = scene.lose(at: 0)
    #expect(scene.session.connected(now: at(1)) == [.disconnect])
  }

  @Test func messagesWhileAwayAreNotBelieved() throws {
    var scene = try Scene()
    _ = scene.session.subscribe(scene.channel, since: nil)
    #expect(scene.session.received(scene.envelope("e", 1)).isEmpty)
  }
}

@Suite struct VerdictTests {
  @Test(arguments: [
    WebSocketEnd.unreachable(reason: "r"), .lost(reason: "r"), .refused(status: 503),
    .refused(status: 429), .closed(code: 1012, reason: ""), .closed(code: nil, reason: ""),
    .closed(code: 3001, reason: ""), .closed(code: 4001, reason: ""),
  ])
  func thesePass(end: WebSocketEnd) {
    guard case .tryAgain = ClientSession.verdict(end) else {
      Issue.record("\(end) is not final")
      return
    }
  }

  @Test func theseAreFinal() {
    #expect(ClientSession.verdict(.refused(status: 401)) == .forGood(.refused(status: 401)))
    #expect(ClientSession.verdict(.refused(status: 404)) == .forGood(.refused(status: 404)))
    for code: UInt16 in [1008, 3500, 3999, 4500, 4999] {
      #expect(
        ClientSession.verdict(.closed(code: code, reason: "r"))
          == .forGood(.closedByServer(code: code, reason: "r")))
    }
  }
}
