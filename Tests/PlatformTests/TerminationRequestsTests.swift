import Testing

@testable import Platform

/// What becomes of a sequence of senders: P the parent, others anybody else; `gap` between them.
private func told(_ senders: String, gap: Duration = .seconds(2)) -> [Bool] {
  var requests = TerminationRequests()
  return senders.enumerated().map { index, sender in
    requests.isNew(
      sender: sender == "P" ? 7 : 9, parent: 7,
      now: Instant(nanoseconds: 1_000_000_000) + gap * index)
  }
}

@Suite struct TerminationRequestsTests {
  @Test func aRequestThatTheParentPassesOnIsTheSameRequest() {
    #expect(told("PX") == [true, false])
    #expect(told("XP") == [true, false])
  }

  @Test func twoFromOneSideAreTwoRequests() {
    #expect(told("PP") == [true, true])
    #expect(told("XX") == [true, true])
    #expect(told("XPX") == [true, false, true])
    #expect(told("XPP") == [true, false, true])
  }

  /// Whoever signals a process and then its group signals it twice.
  @Test func allOfTheFirstSecondIsOneRequest() {
    #expect(told("PPXP", gap: .milliseconds(300)) == [true, false, false, false])
    #expect(told("XXXXX", gap: .milliseconds(300)) == [true, false, false, false, true])
    #expect(told("PPPPX", gap: .milliseconds(300)) == [true, false, false, false, false])
  }
}
