import Bytes
import ChannelKit
import Testing

@Suite struct EffectsTests {
  private let payload = Payload(text: "x")

  @Test func keepsTheOrderInWhichEffectsWereAskedFor() throws {
    var effects = Effects(for: .client)
    effects.reply(payload)
    effects.publish(payload)
    effects.after(.seconds(1), TimerToken(7))
    let list = try effects.finish()
    #expect(
      list == [
        .reply(payload), .publish(PublishEffect(payload)), .after(.seconds(1), TimerToken(7)),
      ])
  }

  @Test func failsTheEventThatAsksForTooMany() {
    var effects = Effects(for: .client)
    for _ in 0...Effects.countMax { effects.publish(payload) }
    expectRefused(effects)
  }

  @Test func allowsExactlyTheMaximum() throws {
    var effects = Effects(for: .client)
    for _ in 0..<Effects.countMax { effects.publish(payload) }
    #expect(try effects.finish().count == Effects.countMax)
  }

  @Test func failsTheEventThatAsksForTooManyBytes() {
    let half = Payload(.binary, [UInt8](repeating: 0, count: Effects.bytesMax / 2 + 1))
    var effects = Effects(for: .client)
    effects.publish(half)
    effects.publish(half)
    expectRefused(effects)
  }

  @Test func staysFailedWhateverFollows() {
    var effects = Effects(for: .client)
    effects.after(.seconds(-1), TimerToken(0))
    effects.publish(payload)
    expectRefused(effects)
  }

  @Test func refusesASecondReply() {
    var effects = Effects(for: .caller)
    effects.reply(payload)
    effects.reply(payload)
    expectRefused(effects)
  }

  @Test(arguments: [false, true])
  func refusesASecondPublicationBesideAGuardedOne(guardedFirst: Bool) {
    var effects = Effects(for: .client)
    effects.publish(payload, expecting: guardedFirst ? .unchanged : .anything)
    effects.publish(payload, expecting: guardedFirst ? .anything : .unchanged)
    expectRefused(effects)
  }

  @Test func publishesSeveralInOneStep() throws {
    var effects = Effects(for: .caller)
    effects.publish(together: [payload, payload, payload], expecting: .unchanged)
    let list = try effects.finish()
    #expect(list.count == 1 && list[0].expectsUnchanged && list[0].isTogether)
  }

  @Test(arguments: [0, Effects.togetherMax + 1])
  func refusesNoneAndTooManyInOneStep(count: Int) {
    var effects = Effects(for: .client)
    effects.publish(together: Array(repeating: payload, count: count))
    expectRefused(effects)
  }

  @Test func countsTheBytesOfAllInOneStep() {
    var effects = Effects(for: .client)
    let half = Payload(.binary, Array(repeating: 0, count: Effects.bytesMax / 2 + 1))
    effects.publish(together: [half, half])
    expectRefused(effects)
  }

  @Test func refusesSeveralInOneStepWithoutAPlace() {
    var effects = Effects(for: .client)
    var effect = PublishEffect(payload, persistence: .ephemeral)
    effect.following = [payload]
    effects.publish(effect)
    expectRefused(effects)
  }

  @Test func refusesAnEphemeralPublicationThatExpectsAPlace() {
    var effects = Effects(for: .client)
    effects.publish(PublishEffect(payload, persistence: .ephemeral, expecting: .unchanged))
    expectRefused(effects)
  }

  @Test func reachesNoClientThroughTheAPI() throws {
    var sending = Effects(for: .caller)
    sending.send(payload)
    expectRefused(sending)
    var replying = Effects(for: .caller)
    replying.reply(payload)
    #expect(try replying.finish() == [.reply(payload)])
  }

  @Test func onlyPublishesOnceTheClientHasLeft() throws {
    var publishing = Effects(for: .nobody)
    publishing.publish(payload)
    #expect(try publishing.finish().count == 1)
    var replying = Effects(for: .nobody)
    replying.reply(payload)
    expectRefused(replying)
    var tracking = Effects(for: .nobody)
    tracking.track(info: [])
    expectRefused(tracking)
  }

  @Test func refusesTimersOverADay() {
    var effects = Effects(for: .client)
    effects.after(Effects.timerMax + .seconds(1), TimerToken(0))
    expectRefused(effects)
  }

  private func expectRefused(
    _ effects: Effects, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: ChannelError.self, sourceLocation: sourceLocation) {
      try effects.finish()
    }
    #expect(error?.name == "effects_refused", sourceLocation: sourceLocation)
  }
}
