import Testing
import Wire

@Suite struct EventOriginTests {
  private func origin(_ others: Bool, _ connection: String, _ channel: String) -> EventOrigin {
    var origin = EventOrigin()
    origin.isForOthers = others
    (origin.connectionInfo, origin.channelInfo) = ([UInt8](connection.utf8), [UInt8](channel.utf8))
    return origin
  }

  @Test(arguments: [(true, "", ""), (false, "{}", ""), (false, "", "[1]"), (true, "1", "2")])
  func whatIsSaidIsReadAgain(others: Bool, connection: String, channel: String) {
    let said = origin(others, connection, channel)
    #expect(EventOrigin(meta: said.meta) == said)
    #expect(EventTags(meta: said.meta) == nil)
  }

  @Test func nothingToSayIsNothing() {
    #expect(EventOrigin().meta == [] && EventOrigin(meta: []) == nil)
  }

  @Test func anInfoThatIsTooLongIsLeftOut() {
    let said = origin(true, String(repeating: "1", count: 65_536), "2")
    #expect(EventOrigin(meta: said.meta) == origin(true, "", "2"))
  }

  @Test func whatIsCutOrLongerOrSomethingElseIsNone() {
    let meta = origin(true, "{}", "[]").meta
    for count in 0..<meta.count { #expect(EventOrigin(meta: Array(meta[..<count])) == nil) }
    #expect(EventOrigin(meta: meta + [0]) == nil)
    #expect(EventOrigin(meta: [1] + meta.dropFirst()) == nil)
    // The hash of a content may begin with anything.
    #expect(EventOrigin(meta: [2] + [UInt8](repeating: 1, count: 31)) == nil)
    #expect(EventTags([.init(name: "a", value: "b")]).flatMap { EventOrigin(meta: $0.meta) } == nil)
  }
}
