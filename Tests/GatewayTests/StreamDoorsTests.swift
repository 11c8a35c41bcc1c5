import Bytes
import Platform
import Testing

@testable import GatewayCore

/// Where clients of event streams and polls go on from, and when one of them takes nothing.
struct StreamDoorsTests {
  @Test func aReaderIsStalledWhenNothingHasGoneForTheTime() {
    var watch = TakingWatch(Instant(nanoseconds: 0))
    // Seconds, what is queued then, and whether that means a stall of ten seconds.
    let steps: [(UInt64, Int, Bool)] = [
      (100, 0, false), (101, 500, false), (109, 900, false), (110, 900, true), (111, 899, false),
      (120, 899, false), (121, 899, true), (500, 0, false),
    ]
    for (seconds, queued, isStalled) in steps {
      let now = Instant(nanoseconds: seconds * 1_000_000_000)
      let found = watch.hasStalled(queued, now, within: .seconds(10))
      #expect(found == isStalled, "at \(seconds)")
    }
  }

  @Test func whereAClientGoesOnFromIsSaidInOneOfThreeWays() {
    let names = [channel("a"), channel("b")]
    typealias Since = Subscription.Since
    #expect(Since.of(nil, names) == [:])
    #expect(Since.of("", names) == [:])
    #expect(Since.of("now", names) == [:])
    #expect(Since.of("start", names) == [names[0]: .start, names[1]: .start])
    #expect(Since.of("e:7", [names[0]]) == [names[0]: .position(position("e", 7))])
    #expect(Since.of("e:7", names) == nil, "whose?")
    let vector = PositionVector.encode([(names[0], .position(position("e", 7)))])
    #expect(Since.of(vector, names) == [names[0]: .position(position("e", 7))])
    #expect(Since.of(vector, [names[0]]) == [names[0]: .position(position("e", 7))])
    #expect(Since.of("nonsense!", names) == nil)
  }

  @Test func aClientGoesOnBehindWhatItWasToldIsLost() {
    func lost(
      _ reason: ControlMessage.UnrecoverableReason, _ epoch: String?
    ) -> Subscription.Since {
      ServerMessage.Unrecoverable(
        channel: channel("a"), reason: reason, epoch: epoch.flatMap { Epoch($0) },
        floor: Offset(3), head: Offset(9)
      ).goesOnFrom
    }
    #expect(lost(.trimmed, "e") == .position(position("e", 3)))
    #expect(lost(.epochChanged, "e") == .position(position("e", 9)))
    #expect(lost(.ahead, "e") == .position(position("e", 9)))
    #expect(lost(.epochChanged, nil) == .empty)
    #expect(lost(.noHistory, nil) == .now)
  }

  @Test func onlyWhatAskingAgainCannotChangeIsFinal() {
    #expect(Refusal.permissionDenied.isFinal && Refusal.unknownChannel("x").isFinal)
    #expect(!Refusal.unavailable.isFinal && !Refusal.tooManyChannels(3).isFinal)
    #expect(!Refusal.internalError.isFinal && !Refusal.slowConsumer.isFinal)
  }

  @Test func theMostThatAVectorMayBeHoldsForAnyOffset() {
    let names = [channel("a"), channel(String(repeating: "n", count: 255)), channel("log:x")]
    let epoch = String(repeating: "E", count: 22)
    let vector = PositionVector.encode(names.map { ($0, .position(position(epoch, .max))) })
    #expect(vector.utf8.count <= PositionVector.bytesMax(names))
    #expect(vector.utf8.count + 8 > PositionVector.bytesMax(names))
  }
}

struct HeartbeatWatchTests {
  private func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
  private func sweep(_ watch: inout HeartbeatWatch, _ second: UInt64, taken: UInt64, pending: UInt64) -> Bool {
    watch.isUnanswered(.init(taken: taken, pending: pending), at(second), within: .seconds(10))
  }

  @Test func aHeartbeatThatIsTakenIsOver() {
    var watch = HeartbeatWatch()
    #expect(!watch.isUnderWay)
    watch.began(.init(taken: 100, pending: 3), at(25))
    #expect(watch.isUnderWay && !sweep(&watch, 26, taken: 103, pending: 0) && !watch.isUnderWay)
  }

  @Test func aClientThatTakesNothingOfItIsGone() {
    var watch = HeartbeatWatch()
    watch.began(.init(taken: 100, pending: 3), at(25))
    #expect(!sweep(&watch, 34, taken: 100, pending: 3))
    // The next heartbeat is no news.
    watch.began(.init(taken: 100, pending: 6), at(34))
    #expect(sweep(&watch, 35, taken: 100, pending: 900))
  }

  @Test func aClientThatTakesSomethingNowAndThenStays() {
    var watch = HeartbeatWatch()
    watch.began(.init(taken: 0, pending: 50_000), at(0))
    for second in 1...60 as ClosedRange<UInt64> {
      #expect(!sweep(&watch, second, taken: second / 9, pending: 50_000))
    }
    #expect(watch.isUnderWay && sweep(&watch, 70, taken: 6, pending: 50_000))
  }

  @Test func whereTheKernelTellsNothingNobodyIsGone() {
    var watch = HeartbeatWatch()
    watch.began(nil, at(0))
    #expect(!watch.isUnderWay)
    watch.began(.init(taken: 0, pending: 1), at(0))
    #expect(!watch.isUnanswered(nil, at(100), within: .seconds(10)) && !watch.isUnderWay)
  }
}
