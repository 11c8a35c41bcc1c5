import Bytes
import Centrifuge
import Platform
import Testing
import Wire

@testable import GatewayCore

struct TailoringTests {
  private func arrival(
    _ text: String, at offset: UInt64? = nil, tags: [EventTags.Tag] = []
  ) -> Arrival {
    Arrival(
      position: offset.map { position("e", $0) }, timeMs: 0, publisher: Publisher(),
      payload: Payload(json: text), tags: EventTags(tags).map { ArrivalTags($0) })
  }

  private func filter(kind: String) throws -> CentrifugeTagCondition {
    var filter = CentrifugeTagFilter()
    (filter.key, filter.cmp, filter.val) = ("kind", "eq", kind)
    return try CentrifugeTagCondition(filter)
  }

  private let long = "{\"text\":\"" + String(repeating: "always the same, ", count: 20)

  @Test func aDeltaIsMadeOnceForAllWhoHaveTheSame() throws {
    let base = DeltaBase(arrival(long + "1\"}", at: 1))
    let same = DeltaBase(arrival(long + "1\"}", at: 1))
    let other = DeltaBase(arrival(long + "0\"}", at: 0))
    var making = DeltaMaking(Payload(json: long + "2\"}"))
    let made = making.delta(from: base, in: .json)
    let delta = try #require(made)
    #expect(making.delta(from: same, in: .json) == delta)
    #expect(making.count == 1)
    _ = making.delta(from: other, in: .json)
    _ = making.delta(from: base, in: .protobuf)
    #expect(making.count == 3)
  }

  @Test func whatIsNoLongerThanItsDeltaGoesWhole() throws {
    var making = DeltaMaking(Payload(json: "{}"))
    #expect(making.delta(from: DeltaBase(arrival("[1,2,3]")), in: .json) == nil)
    let huge = Payload(.json, [UInt8](repeating: 32, count: DeltaMaking.payloadBytesMax + 1))
    var tooLong = DeltaMaking(huge)
    #expect(tooLong.delta(from: DeltaBase(arrival("{}")), in: .json) == nil)
    #expect(tooLong.count == 0)
  }

  @Test func publicationsWithoutAPlaceAreNoOthers() throws {
    let one = DeltaBase(arrival("1"))
    #expect(one.isSame(as: one))
    #expect(!one.isSame(as: DeltaBase(arrival("1"))))
    #expect(!DeltaBase(arrival("1", at: 1)).isSame(as: DeltaBase(arrival("1", at: 2))))
  }

  @Test func aFilterLetsThroughWhatItsTagsSay() throws {
    let tailoring = try #require(Tailoring(filter: try filter(kind: "a"), isDelta: false))
    let a = EventTags.Tag(name: "kind", value: "a")
    #expect(tailoring.admits(arrival("1", at: 1, tags: [a])))
    #expect(!tailoring.admits(arrival("1", at: 1, tags: [EventTags.Tag(name: "kind", value: "b")])))
    #expect(!tailoring.admits(arrival("1", at: 1)))
    // State and answers are for this client alone.
    #expect(tailoring.admits(arrival("1")))
    #expect(Tailoring(filter: nil, isDelta: false) == nil)
  }

  /// A slow client is left to the history from the first publication on that waits: where a filter
  /// has left some out before it, that isn't to be found by counting.
  @Test func aParcelKnowsItsPlaceThoughOthersWereLeftOut() {
    var publications = EncodedPublications(bytes: [1, 2, 3], count: 3, marks: [])
    for (end, offset) in [(1, 5), (2, 8), (3, 9)] as [(Int, UInt64)] {
      publications.marks.append(.init(end: end, position: position("e", offset)))
    }
    (publications.first, publications.last) = (position("e", 5), position("e", 9))
    #expect(publications.parcel(1..<3, 1..<3, since: .init(nanoseconds: 0)).first == position("e", 8))
    publications.marks = []
    #expect(publications.parcel(1..<3, 1..<3, since: .init(nanoseconds: 0)).first == nil)
  }

  @Test func whoGetsDeltasGetsWholePayloadsAsTexts() throws {
    var bytes: [UInt8] = []
    GatewayCore.Encoding.centrifugeJSON.append(
      arrival(#"{"x":"\n"}"#, at: 7, tags: [EventTags.Tag(name: "k", value: "v")]), asDelta: true,
      prefix: GatewayCore.Encoding.prefix(channel("a")), to: &bytes)
    #expect(
      text([UInt8](bytes[2...]))
        == #"{"push":{"channel":"a","pub":{"data":"{\"x\":\"\\n\"}","offset":7,"tags":{"k":"v"}}}}"#)
  }
}
