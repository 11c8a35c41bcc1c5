import Testing

@testable import Platform

/// What becomes of a sequence of senders: P the parent, others anybody else.
private func told(_ senders: String) -> [Bool] {
  var requests = TerminationRequests()
  return senders.map { requests.isNew(sender: $0 == "P" ? 7 : 9, parent: 7) }
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
}
