import Testing
import Wire

@Suite struct EventIDsTests {
  private let ids = EventIDs(correlation: "order-7", causation: "é")

  @Test(arguments: [EventIDs(correlation: "a"), EventIDs(causation: "b"), EventIDs(correlation: "a", causation: "b")])
  func idsComeBackAsTheyWent(ids: EventIDs) {
    #expect(EventIDs(meta: ids.meta()) == ids)
  }

  @Test func tagsAndOriginAreUnderstoodBehindThem() throws {
    let tags = try #require(EventTags([.init(name: "kind", value: "a")]))
    #expect(EventTags(meta: ids.meta(with: tags.meta)) == tags)
    #expect(EventOrigin(meta: ids.meta(with: tags.meta)) == nil)
    var origin = EventOrigin()
    origin.isForOthers = true
    #expect(EventOrigin(meta: ids.meta(with: origin.meta)) == origin)
    #expect(EventIDs(meta: ids.meta(with: origin.meta)) == ids)
    #expect(EventTags(meta: ids.meta()) == nil && EventOrigin(meta: ids.meta()) == nil)
  }

  @Test func whatHasNoIDsIsAsItWouldBeWithoutThem() {
    #expect(EventIDs().meta(with: [2, 1]) == [2, 1])
    #expect(EventIDs(meta: []) == nil && EventIDs(meta: [2, 1]) == nil)
  }

  @Test func whatIsCutOrTooLongIsNone() {
    let meta = ids.meta()
    for count in 0..<meta.count { #expect(EventIDs(meta: Array(meta[..<count])) == nil) }
    let long = EventIDs(correlation: String(repeating: "x", count: 256))
    #expect(!long.isWithinLimits && EventIDs(meta: long.meta()) == nil)
    #expect(EventIDs(meta: [3, 0, 0, 0, 0]) == nil)
  }

  /// A second envelope behind the first would be read by nobody else.
  @Test func idsBehindIDsHoldNoTags() throws {
    let tags = try #require(EventTags([.init(name: "kind", value: "a")]))
    #expect(EventTags(meta: ids.meta(with: ids.meta(with: tags.meta))) == nil)
  }
}
