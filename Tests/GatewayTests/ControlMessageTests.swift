import Bytes
import Testing
import Wire

@testable import GatewayCore

/// The very texts that clients get (docs: the WebSocket API).
struct ControlMessageTests {
  @Test func aWelcomeToOneChannelNamesItAndWhereItStands() {
    #expect(
      text(
        ControlMessage.connection(
          message: "hello", channels: [PendingWelcome.Channel(name: "a", subscribers: 3, position: position("e", 7))],
          session: "s", client: "c"))
        == #"{"type":"connection","message":"hello","client":"c","session":"s","channel":"a","subscribers":3,"epoch":"e","offset":7}"#
    )
  }

  @Test func aChannelWithoutHistoryHasNeitherEpochNorOffset() {
    #expect(
      text(
        ControlMessage.connection(
          message: "m", channels: [PendingWelcome.Channel(name: "a", subscribers: 1, position: nil)], session: "s",
          client: "c"))
        == #"{"type":"connection","message":"m","client":"c","session":"s","channel":"a","subscribers":1}"#
    )
  }

  @Test func qualityHasItsPartsBesideItsScore() {
    let quality = ConnectionQuality(
      roundTripMs: 40.0004, jitterMs: 1.23456, heartbeats: 20, late: 1, reconnects: 2)
    #expect(
      text(ControlMessage.quality(quality))
        == #"{"type":"quality","score":50,"grade":"fair","round_trip_ms":40.0,"jitter_ms":1.235,"loss":0.05,"reconnects":2}"#
    )
  }

  @Test func aWelcomeToSeveralChannelsListsThem() {
    #expect(
      text(
        ControlMessage.connection(
          message: "m",
          channels: [
            PendingWelcome.Channel(name: "a", subscribers: 1, position: position("e", 0)),
            PendingWelcome.Channel(name: "b", subscribers: 2, position: nil),
          ],
          session: "s", client: "c"))
        == #"{"type":"connection","message":"m","client":"c","session":"s","channels":[{"channel":"a","subscribers":1,"epoch":"e","offset":0},{"channel":"b","subscribers":2}]}"#
    )
    #expect(
      text(ControlMessage.connection(message: "m", channels: [], session: "s", client: "c"))
        == #"{"type":"connection","message":"m","client":"c","session":"s","channels":[]}"#)
  }

  @Test func anAckSaysTheIdBackAsItCame() {
    #expect(
      text(ControlMessage.ack(id: .number(-5), position: position("e", .max)))
        == #"{"type":"ack","id":-5,"epoch":"e","offset":18446744073709551615}"#)
    #expect(
      text(ControlMessage.ack(id: .text("a\"b"), position: nil)) == #"{"type":"ack","id":"a\"b"}"#)
    #expect(
      text(ControlMessage.ack(id: .number(1), position: nil, reply: Payload(json: "[1]")))
        == #"{"type":"ack","id":1,"data":[1]}"#)
  }

  @Test func anErrorHasItsCodeNameAndSentence() {
    #expect(
      text(ControlMessage.error(id: .number(1), .permissionDenied, channel: "a"))
        == #"{"type":"error","id":1,"channel":"a","code":103,"name":"permission_denied","message":"this is not permitted here"}"#
    )
    #expect(
      text(ControlMessage.error(id: nil, .badRequest("no")))
        == #"{"type":"error","code":107,"name":"bad_request","message":"no"}"#)
  }

  @Test func aGapSaysHowManyOrThatNobodyKnows() {
    #expect(
      text(ControlMessage.gap(channel: "a", dropped: 12)) == #"{"type":"gap","channel":"a","dropped":12}"#)
    #expect(
      text(ControlMessage.gap(channel: "a", dropped: nil))
        == #"{"type":"gap","channel":"a","dropped":null}"#)
  }

  @Test func unrecoverableSaysWhyAndWhatThereIs() {
    #expect(
      text(
        ControlMessage.unrecoverable(
          channel: "a", reason: .trimmed, epoch: Epoch("e"), floor: Offset(4), head: Offset(9)))
        == #"{"type":"unrecoverable","channel":"a","reason":"trimmed","epoch":"e","floor":4,"head":9}"#
    )
    let reasons: [ControlMessage.UnrecoverableReason] = [.epochChanged, .trimmed, .ahead, .noHistory]
    #expect(reasons.map(\.rawValue) == ["epoch_changed", "trimmed", "ahead", "no_history"])
  }

  @Test func joinsLeavesAndWhoIsThereCarryPeopleAndNoSession() {
    let anonymous = Member(key: .session("secret-no-more"), client: 1)
    let named = Member(key: .user("u"), client: 0xabc, info: [UInt8](#"{"x":1}"#.utf8))
    #expect(
      text(ControlMessage.news(.joined(named), channel: "a"))
        == #"{"type":"join","channel":"a","client":"0000000000000abc","user":"u","info":{"x":1}}"#)
    #expect(
      text(ControlMessage.news(.left(anonymous), channel: "a"))
        == #"{"type":"leave","channel":"a","client":"0000000000000001"}"#)
    #expect(
      text(ControlMessage.news(.updated(anonymous), channel: "a"))
        == #"{"type":"update","channel":"a","client":"0000000000000001"}"#)
    let people = [anonymous, named].map { ControlMessage.Person($0) }
    #expect(
      text(ControlMessage.presence(channel: "a", people, total: 5))
        == #"{"type":"presence","channel":"a","total":5,"members":[{"client":"0000000000000001"},{"client":"0000000000000abc","user":"u","info":{"x":1}}]}"#
    )
  }

  @Test func reconnectAndPong() {
    #expect(
      text(ControlMessage.reconnect(afterMs: 250, since: nil)) == #"{"type":"reconnect","after_ms":250}"#)
    #expect(
      text(ControlMessage.reconnect(afterMs: 250, since: "E:7"))
        == #"{"type":"reconnect","after_ms":250,"since":"E:7"}"#)
    #expect(
      text(ControlMessage.pong(id: .number(3), timeMs: 5)) == #"{"type":"pong","id":3,"time":5}"#)
  }
}
