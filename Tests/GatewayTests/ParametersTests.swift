import Bytes
import JSON
import Platform
import Testing

@testable import GatewayCore

struct APIParametersTests {
  private func publish(_ text: String) throws -> APIParameters.Publish {
    try APIParameters.publish([UInt8](text.utf8).span)
  }

  @Test func aPublishHasChannelDataAndItsSwitches() throws {
    let found = try publish(
      #"{"channel":"a","data":{"x": 1},"idempotency_key":"k","skip_history":true,"only_if_subscribed":true,"expected_offset":4,"tags":{},"delta":false}"#
    )
    #expect(found.channels == ["a"] && found.payload == Payload(json: #"{"x": 1}"#))
    #expect(found.key == "k" && found.skipHistory && found.onlyIfSubscribed)
    #expect(found.expected == Offset(4))
  }

  @Test func nullIsDataAndMissingDataIsNot() throws {
    #expect(try publish(#"{"channel":"a","data":null}"#).payload == Payload(json: "null"))
    #expect(try publish(#"{"channel":"a"}"#).payload == nil)
    #expect(try publish(#"{"channel":"a","b64data":"AAE="}"#).payload == Payload(.binary, [0, 1]))
  }

  @Test func aBroadcastHasItsChannelsInOrder() throws {
    #expect(try publish(#"{"channels":["b","a"],"data":1}"#).channels == ["b", "a"])
  }

  @Test(arguments: [
    "", "[]", "1", "{", #"{"channel":1}"#, #"{"channels":"a"}"#, #"{"channels":["a",1]}"#,
    #"{"channel":"a","b64data":"*"}"#, #"{"channel":"a","idempotency_key":1}"#,
    #"{"channel":"a","expected_offset":-1}"#, #"{"channel":"a","expected_offset":"1"}"#,
    #"{"channel":"a","expected_offset":1.5}"#, #"{"channel":"a","only_if_subscribed":"yes"}"#,
    #"{"channel":"a","skip_history":1}"#, #"{"channel":"a","data":1,"b64data":"AA=="}"#,
    #"{"channel":"a","b64data":"AA==","data":1}"#,
  ])
  func malformedParametersAreABadRequest(body: String) {
    #expect { try publish(body) } throws: { ($0 as? Refusal)?.code == 107 }
  }

  private func history(_ text: String) throws -> APIParameters.History {
    try APIParameters.history(try JSONValue.parse([UInt8](text.utf8).span), most: 300)
  }

  @Test(arguments: [
    (#"{"channel":"a"}"#, 0), (#"{"channel":"a","limit":5}"#, 5), (#"{"channel":"a","limit":-1}"#, 300),
    (#"{"channel":"a","limit":100000}"#, 300), (#"{"channel":"a","limit":9007199254740993}"#, 300),
  ] as [(String, UInt32)])
  func aHistorysLimitIsClamped(body: String, limit: UInt32) throws {
    #expect(try history(body).limit == limit)
  }

  @Test func sinceIsAnEpochAndAnOffset() throws {
    let found = try history(#"{"channel":"a","since":{"offset":7,"epoch":"e"},"reverse":true}"#)
    #expect(found.since == position("e", 7) && found.isReverse)
    #expect(try history(#"{"channel":"a","since":null}"#).since == nil)
    for since in [#""start""#, #"{"offset":7}"#, #"{"epoch":"e"}"#, #"{"offset":-1,"epoch":"e"}"#,
      #"{"offset":1,"epoch":"bad epoch"}"#]
    {
      #expect(throws: Refusal.self) { try history(#"{"channel":"a","since":\#(since)}"#) }
    }
    #expect(throws: Refusal.self) { try history("{}") }
  }

  @Test(arguments: [#""limit":"5""#, #""limit":1.5"#, #""limit":1e99"#, #""reverse":"yes""#, #""reverse":1"#])
  func anOptionOfAHistoryThatIsOfAnotherKindIsNotPassedOver(option: String) {
    #expect { try history(#"{"channel":"a",\#(option)}"#) } throws: { ($0 as? Refusal)?.code == 107 }
  }

  @Test func anOptionThatIsNullIsAbsent() throws {
    let found = try history(#"{"channel":"a","limit":null,"reverse":null}"#)
    #expect(found.limit == 0 && !found.isReverse)
    #expect(try publish(#"{"channel":"a","only_if_subscribed":null}"#).onlyIfSubscribed == false)
  }
}

struct ArtifactNoticeTests {
  private let digits = String(repeating: "0f", count: 32)

  @Test func anArtifactsHashIsFoundInItsNotice() {
    let payload = Payload(
      json: #"{"type":"artifact","name":"n","bytes":3,"sha256":"\#(digits)","modified":1}"#)
    #expect(ArtifactNotice.sha256(of: payload) == [UInt8](repeating: 15, count: 32))
  }

  @Test func anythingElseIsNoNotice() {
    for json in [
      #"{"type":"note","sha256":"\#(digits)"}"#, #"{"sha256":"\#(digits)"}"#, #"{"type":"artifact"}"#,
      #"{"type":"artifact","sha256":"\#(digits)0"}"#, #"{"type":"artifact","sha256":"zz"}"#,
      #"{"type":"artifact","sha256":5}"#, "[]", "1",
    ] {
      #expect(ArtifactNotice.sha256(of: Payload(json: json)) == nil, "\(json)")
    }
    let text = #"{"type":"artifact","sha256":"\#(digits)"}"#
    #expect(ArtifactNotice.sha256(of: Payload(.binary, [UInt8](text.utf8))) == nil)
    #expect(ArtifactNotice.sha256(of: Payload(text: text)) == nil)
  }
}

struct SocketKeepAliveTests {
  private func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
  private func sweep(_ machine: inout SocketKeepAlive, _ seconds: UInt64) -> SocketKeepAlive.Action {
    machine.sweep(at(seconds), every: .seconds(25), within: .seconds(10))
  }

  @Test func aQuietSocketIsPingedAndOneThatAnswersStays() {
    var machine = SocketKeepAlive(at(0))
    #expect(sweep(&machine, 24) == .nothing)
    #expect(sweep(&machine, 25) == .ping)
    #expect(sweep(&machine, 26) == .nothing)
    #expect(machine.receivedPong(at(27)) == .init(roundTrip: .seconds(2), isLate: false))
    #expect(machine.meter.quality(reconnects: 0)?.roundTripMs == 2_000)
    #expect(sweep(&machine, 49) == .nothing)
    #expect(sweep(&machine, 50) == .ping)
  }

  @Test func aSocketThatDoesNotAnswerIsGone() {
    var machine = SocketKeepAlive(at(0))
    #expect(sweep(&machine, 25) == .ping)
    #expect(sweep(&machine, 28) == .late)
    #expect(sweep(&machine, 34) == .nothing)
    #expect(sweep(&machine, 35) == .close)
  }

  @Test func aHeartbeatIsLateOnceAndItsConnectionGoesOn() {
    var machine = SocketKeepAlive(at(0), begins: true)
    #expect(sweep(&machine, 1) == .ping)
    #expect(sweep(&machine, 3) == .nothing)
    #expect(sweep(&machine, 4) == .late)
    #expect(sweep(&machine, 5) == .nothing)
    // The sweep has told it.
    #expect(machine.receivedPong(at(6)) == .init(roundTrip: .seconds(5), isLate: false))
    #expect(machine.meter.quality(reconnects: 0)?.late == 1)
    #expect(sweep(&machine, 26) == .ping)
    // This time no sweep has.
    #expect(machine.receivedPong(at(29)) == .init(roundTrip: .seconds(3), isLate: true))
    #expect(machine.meter.quality(reconnects: 0)?.late == 2)
    #expect(machine.meter.quality(reconnects: 0)?.heartbeats == 2)
  }

  /// Sweeps may pass over it until then, and must not while an answer is awaited.
  @Test func itIsQuietUntilTheNextPing() {
    var machine = SocketKeepAlive(at(0))
    #expect(machine.nextPing(every: .seconds(25)) == at(25))
    #expect(sweep(&machine, 25) == .ping)
    #expect(machine.nextPing(every: .seconds(25)) == nil)
    _ = machine.receivedPong(at(26))
    #expect(machine.nextPing(every: .seconds(25)) == at(50))
    #expect(SocketKeepAlive(at(0), begins: true).nextPing(every: .seconds(25)) == nil)
  }

  /// A ping stands behind what is queued: a peer that takes it steadily is alive.
  @Test func whoTakesWhatStandsBeforeThePingStays() {
    var machine = SocketKeepAlive(at(0))
    func sweep(_ seconds: UInt64, taken: UInt64, pending: UInt64, isBlocked: Bool = false)
      -> SocketKeepAlive.Action
    {
      machine.sweep(
        at(seconds), every: .seconds(25), within: .seconds(10), isBlocked: isBlocked,
        progress: { .init(taken: taken, pending: pending) })
    }
    #expect(sweep(25, taken: 100, pending: 900) == .ping)
    #expect(sweep(34, taken: 400, pending: 600) == .late)
    #expect(sweep(43, taken: 700, pending: 600) == .nothing)
    #expect(sweep(52, taken: 1000, pending: 300) == .nothing)
    // Behind the ping the kernel's taking is no sign, unless it has room for nothing more.
    #expect(sweep(56, taken: 1100, pending: 200) == .nothing)
    #expect(sweep(61, taken: 1200, pending: 900, isBlocked: true) == .nothing)
    #expect(sweep(70, taken: 1300, pending: 0) == .nothing)
    #expect(sweep(71, taken: 1400, pending: 0) == .close)
  }

  @Test func whoTakesNothingOfWhatStandsBeforeThePingIsGone() {
    var machine = SocketKeepAlive(at(0))
    for second in 25...35 {
      let action = machine.sweep(
        at(UInt64(second)), every: .seconds(25), within: .seconds(10), isBlocked: true,
        progress: { .init(taken: 100, pending: 900) })
      let expected: [Int: SocketKeepAlive.Action] = [25: .ping, 28: .late, 35: .close]
      #expect(action == expected[second] ?? .nothing)
    }
  }

  @Test func aPongThatNobodyAskedForIsNoSignOfLife() {
    var machine = SocketKeepAlive(at(0))
    #expect(machine.receivedPong(at(1)) == nil)
    #expect(machine.meter.quality(reconnects: 0) == nil)
    #expect(sweep(&machine, 25) == .ping)
  }
}
