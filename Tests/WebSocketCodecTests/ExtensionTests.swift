import Testing
import WebSocketCodec

@Suite struct ExtensionHeaderTests {
  @Test func readsListsParametersAndQuotes() {
    let expected = [
      WebSocketExtension("foo"),
      WebSocketExtension("bar", [.init("baz", "2")]),
      WebSocketExtension(
        "permessage-deflate", [.init("client_max_window_bits"), .init("a", "10")]),
    ]
    #expect(
      WebSocketExtension.parse([
        "foo,, bar ; baz = 2 ,", #" permessage-deflate;client_max_window_bits; a="1\0""#,
      ]) == expected)
    #expect(WebSocketExtension.parse(expected.map(\.headerValue)) == expected)
    #expect(WebSocketExtension.parse([]) == [])
    #expect(WebSocketExtension.parse([" , "]) == [])
  }

  @Test(arguments: [
    "a b", "a;", "a; b=", "a; =1", "a=1", "a; b=\"", "a; b=\"1", "a; b=\"\"", "a; b=\"1 2\"",
    "a; b=\"1\"2", "a; b=1=2", ";a", "a; b \u{e9}", "a;;b", "a; b=\"1\\", "(a)",
  ])
  func refusesWhatBreaksTheGrammar(value: String) {
    #expect(WebSocketExtension.parse([value]) == nil)
    #expect(WebSocketExtension.parse(["ok", value]) == nil)
  }
}

@Suite struct DeflateNegotiationTests {
  /// The answer to a header of the client, or nil for none.
  private func answer(
    _ offers: String, _ settings: PermessageDeflate.Settings = .init()
  ) -> String? {
    guard let offers = WebSocketExtension.parse([offers]) else { return "malformed" }
    return PermessageDeflate.agree(offers: offers, settings: settings)?.answer.headerValue
  }

  private let kept = PermessageDeflate.Settings(
    serverContext: .keptBetweenMessages, serverWindowBits: 12,
    clientContext: .keptBetweenMessages, clientWindowBits: 11)
  private let bothNew =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

  @Test func keepsNoContextUnlessTold() {
    #expect(answer("permessage-deflate") == bothNew)
    #expect(answer("permessage-deflate; client_max_window_bits") == bothNew)
    #expect(answer("permessage-deflate", kept) == "permessage-deflate")
  }

  @Test func answersWithItsOwnWindowsWhereItMay() {
    #expect(
      answer("permessage-deflate; server_max_window_bits=10; client_max_window_bits", kept)
        == "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11")
    #expect(
      answer("permessage-deflate; server_max_window_bits=15; client_max_window_bits=9", kept)
        == "permessage-deflate; server_max_window_bits=12; client_max_window_bits=9")
    // A client that does not name the parameter can't be told.
    let offers = WebSocketExtension.parse(["permessage-deflate"]) ?? []
    let agreement = PermessageDeflate.agree(offers: offers, settings: kept)
    #expect(agreement?.clientWindowBits == 15)
    #expect(agreement?.serverWindowBits == 12)
  }

  @Test func doesWhatTheClientAsksOfTheServer() {
    let offers =
      WebSocketExtension.parse(["permessage-deflate; server_no_context_takeover"]) ?? []
    let agreement = PermessageDeflate.agree(offers: offers, settings: kept)
    #expect(agreement?.serverContext == .newForEachMessage)
    #expect(agreement?.clientContext == .keptBetweenMessages)
    #expect(
      answer("permessage-deflate; client_no_context_takeover", kept)
        == "permessage-deflate; client_no_context_takeover")
  }

  @Test(arguments: [
    "x-webkit-deflate-frame", "Permessage-Deflate", "permessage-deflate; unknown",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover=true",
    "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=a",
    "permessage-deflate; server_max_window_bits=010",
    "permessage-deflate; server_max_window_bits=+9",
    "permessage-deflate; server_max_window_bits=-9",
    "permessage-deflate; server_max_window_bits=99999999999999999999",
    "permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=16",
    "permessage-deflate; SERVER_NO_CONTEXT_TAKEOVER",
  ])
  func passesOverWhatItMayNotAgreeTo(offer: String) {
    #expect(answer(offer) == nil)
    #expect(answer(offer + ", permessage-deflate") == bothNew)
  }

  @Test func neverAgreesToAWindowThatZlibCanNotWrite() {
    #expect(answer("permessage-deflate; server_max_window_bits=8") == nil)
    #expect(
      answer(
        "permessage-deflate; server_max_window_bits=8, permessage-deflate; "
          + "server_max_window_bits=9") == bothNew + "; server_max_window_bits=9")
    // Reading such a window is no trouble.
    #expect(
      answer("permessage-deflate; client_max_window_bits=8")
        == bothNew + "; client_max_window_bits=8")
  }

  @Test func takesTheFirstOfferThatWillDo() {
    #expect(
      answer(
        "permessage-foo; x, permessage-deflate; server_max_window_bits=\"10\", permessage-deflate")
        == bothNew + "; server_max_window_bits=10")
    #expect(answer("permessage-deflate; a, permessage-deflate; b") == nil)
    #expect(answer("") == nil)
  }

  @Test func aClientReadsTheAnswerToItsOffer() {
    let header = PermessageDeflate.offer.headerValue
    #expect(header == "permessage-deflate; client_max_window_bits")
    for settings in [PermessageDeflate.Settings(), kept] {
      let offers = WebSocketExtension.parse([header]) ?? []
      let agreement = PermessageDeflate.agree(offers: offers, settings: settings)
      let read = agreement.flatMap { PermessageDeflate.accept(answer: [$0.answer]) }
      #expect(read?.serverContext == agreement?.serverContext)
      #expect(read?.clientContext == agreement?.clientContext)
      #expect(read?.clientWindowBits == agreement?.clientWindowBits)
    }
  }

  @Test(arguments: [
    "", "other", "permessage-deflate, permessage-deflate", "permessage-deflate, other",
    "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits",
    "permessage-deflate; client_max_window_bits=8", "permessage-deflate; unknown",
  ])
  func aClientRefusesAnswersThatItDidNotAskFor(answer: String) {
    let extensions = WebSocketExtension.parse([answer]) ?? []
    #expect(PermessageDeflate.accept(answer: extensions) == nil)
  }
}
