import Testing
import Wire

@Suite struct EventTagsTests {
  private func tags(_ pairs: (String, String)...) -> EventTags? {
    EventTags(pairs.map { EventTags.Tag(name: $0.0, value: $0.1) })
  }

  @Test func theyComeBackInTheirOrder() throws {
    let all = try #require(tags(("b", "1"), ("a", ""), ("ü", "ö\"")))
    #expect(EventTags(meta: all.meta) == all)
    #expect(all.meta == [1, 3, 0, 1, 0, 98, 1, 0, 49, 1, 0, 97, 0, 0, 2, 0, 195, 188, 3, 0, 195, 182, 34])
  }

  @Test func noneAreNothing() throws {
    #expect(try #require(tags()).meta == [])
    #expect(EventTags(meta: []) == nil)
  }

  @Test func whatIsTooMuchOrAmbiguousIsNone() {
    #expect(tags(("a", "1"), ("a", "2")) == nil)
    #expect(tags(("", "1")) == nil)
    #expect(tags(("a", String(repeating: "x", count: 4_096))) == nil)
    #expect(tags(("a", String(repeating: "x", count: 4_095))) != nil)
    #expect(EventTags((0...64).map { EventTags.Tag(name: "\($0)", value: "") }) == nil)
  }

  @Test func otherBytesAreNoTags() throws {
    let meta = try #require(tags(("kind", "tick"))).meta
    for count in 0..<meta.count { #expect(EventTags(meta: Array(meta[..<count])) == nil) }
    #expect(EventTags(meta: meta + [0]) == nil)
    #expect(EventTags(meta: [2] + meta.dropFirst()) == nil)
    #expect(EventTags(meta: [UInt8](repeating: 1, count: 32)) == nil)
  }
}
