import Centrifuge
import Testing

@Suite("Codes") struct CodesTests {
  @Test func numbersAreGivenOnce() {
    #expect(Set(CentrifugeErrorCode.all.map(\.code)).count == CentrifugeErrorCode.all.count)
    #expect(Set(CentrifugeDisconnect.all.map(\.code)).count == CentrifugeDisconnect.all.count)
    #expect(
      Set(CentrifugeUnsubscribeCode.all.map(\.code)).count == CentrifugeUnsubscribeCode.all.count)
  }

  @Test func errorsOfTheProtocolAreBelow400() {
    #expect(CentrifugeErrorCode.all.map(\.code) == Array(100...113))
    #expect(CentrifugeErrorCode.all.filter(\.isTemporary).map(\.code) == [100, 111, 113])
    let failure = CentrifugeErrorCode.tooManyRequests.failure
    #expect(failure.code == 111 && failure.message == "too many requests" && failure.temporary)
  }

  @Test(arguments: [
    (2999, true), (3000, true), (3499, true), (3500, false), (3999, false), (4000, true),
    (4499, true), (4500, false), (4999, false), (5000, true),
  ])
  func rangesSayWhoComesBack(_ code: UInt32, _ comesBack: Bool) {
    #expect(CentrifugeDisconnect.leadsToReconnect(code) == comesBack)
  }

  @Test func knownDisconnectsAreInTheirRanges() {
    for disconnect in CentrifugeDisconnect.all {
      #expect(disconnect.leadsToReconnect == (disconnect.code < 3500), "\(disconnect)")
      #expect((3000...3999).contains(disconnect.code))
      #expect(disconnect.reason.utf8.count <= 123)
    }
    #expect(CentrifugeDisconnect.slow.leadsToReconnect)
    #expect(!CentrifugeDisconnect.badRequest.leadsToReconnect)
  }

  @Test func applicationsHaveCodesOfTheirOwn() {
    #expect(CentrifugeDisconnect(applicationCode: 4000, reason: "later")?.leadsToReconnect == true)
    #expect(CentrifugeDisconnect(applicationCode: 4500, reason: "")?.leadsToReconnect == false)
    #expect(CentrifugeDisconnect(applicationCode: 3999, reason: "") == nil)
    #expect(CentrifugeDisconnect(applicationCode: 5000, reason: "") == nil)
    #expect(
      CentrifugeDisconnect(applicationCode: 4000, reason: String(repeating: "x", count: 124)) == nil
    )
  }

  @Test func unsubscribesFrom2500OnLeadToResubscribing() {
    #expect(!CentrifugeUnsubscribeCode.server.leadsToResubscribe)
    #expect(!CentrifugeUnsubscribeCode.leadsToResubscribe(2499))
    #expect(CentrifugeUnsubscribeCode.insufficientState.leadsToResubscribe)
    #expect(CentrifugeUnsubscribeCode.stateInvalidated.leadsToResubscribe)
  }

  @Test func pushesSayTheCode() {
    let push = CentrifugeDisconnect.shutdown.push
    guard case .disconnect(let disconnect) = push.event else {
      Issue.record("not a disconnect: \(push)")
      return
    }
    #expect(disconnect.code == 3001 && disconnect.reason == "shutdown" && disconnect.reconnect)
    let unsubscribe = CentrifugeUnsubscribeCode.expired.push(channel: "a")
    #expect(
      unsubscribe.unidirectionalJSON
        == utf8(#"{"channel":"a","unsubscribe":{"code":2501,"reason":"subscription expired"}}"#))
  }
}
