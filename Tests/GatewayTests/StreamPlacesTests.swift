import Bytes
import Testing

@testable import GatewayCore

/// The ids of event streams of several channels.
@Suite struct StreamPlacesTests {
  typealias Since = Subscription.Since

  private let names = [channel("log:a"), channel("log:b"), channel("universal-frequency")]

  private func id(_ places: StreamPlaces) -> String { String(decoding: places.id, as: UTF8.self) }

  private func abbreviated(_ epoch: String, _ offset: UInt64) -> Since {
    .abbreviated(EpochTag(position(epoch, 0).epoch), Offset(offset))
  }

  @Test func anIdSaysOfEveryChannelWhereTheClientStands() {
    var places = StreamPlaces([(names[0], .start), (names[1], .now), (names[2], .now)])
    places.stand(at: .position(position("Epoch-1", 7)), in: names[0])
    places.stand(at: .empty, in: names[1])
    #expect(id(places).utf8.count == 1 + 2 * 16, "what has no place takes none")
    #expect(
      StreamPlaces.decode(id(places), names)
        == [names[0]: abbreviated("Epoch-1", 7), names[1]: .empty])
    places.stand(at: .start, in: names[1])
    places.stand(at: .position(position("Epoch-2", 9)), in: names[2])
    #expect(
      StreamPlaces.decode(id(places), names)
        == [names[0]: abbreviated("Epoch-1", 7), names[1]: .start, names[2]: abbreviated("Epoch-2", 9)])
    #expect(places.byNames == PositionVector.encode([
      (names[0], .position(position("Epoch-1", 7))), (names[1], .start), (names[2], .position(position("Epoch-2", 9)))]))
  }

  /// RFC 4648 §5: it stands in a header and in an address as it is.
  @Test func theShapeIsWhatIsDocumented() {
    let places = StreamPlaces([(names[0], .position(position("e", 7))), (names[1], .empty)])
    let text = id(places)
    #expect(text.utf8.first == UInt8(ascii: "~") && text.utf8.dropFirst().allSatisfy { $0 != 43 && $0 != 47 && $0 != 61 })
    let read = bytes(base64: String(text.dropFirst())) ?? []
    let tag = EpochTag(position("e", 0).epoch).bits
    #expect(Array(read.prefix(3)) == [UInt8](bigEndian24: crc32c([UInt8]("log:a".utf8))))
    #expect(Array(read[3..<9]) == [UInt8](bigEndian24: UInt32(tag >> 24)) + [UInt8](bigEndian24: UInt32(tag & 0xFF_FFFF)))
    #expect(Array(read[9..<12]) == [0, 0, 7])
    #expect(Array(read[15...]) == [0, 0, 0, 0, 0, 0, 0xC0, 0, 0])
  }

  @Test func anyOffsetComesBack() {
    for offset in [0, 1, 1 << 22 - 1, 1 << 22, 1 << 46 - 1, 1 << 46, 1 << 48, .max - 1, .max] as [UInt64] {
      let places = StreamPlaces([(names[0], .position(position("e", offset))), (names[1], .empty)])
      #expect(
        StreamPlaces.decode(id(places), names) == [names[0]: abbreviated("e", offset), names[1]: .empty])
      #expect(places.id.count <= StreamPlaces.bytesMax(Array(names[..<2])))
    }
  }

  /// However a client goes on, its id is what one made of where it stands is.
  @Test func whatIsWrittenOverIsWhatWouldBeWrittenAnew() {
    var generator = SystemRandomNumberGenerator()
    let names = (0..<9).map { channel("many:\($0)") }
    var places = StreamPlaces(names.map { ($0, .now) })
    var model = [Since](repeating: .now, count: names.count)
    let offsets: [UInt64] = [3, 1 << 22 - 1, 1 << 22, 1 << 50]
    for _ in 0..<2_000 {
      let index = Int.random(in: 0..<names.count, using: &generator)
      let place: Since =
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: .empty
        case 1: .start
        case 2: .now
        case 3: .position(position("f", offsets.randomElement(using: &generator) ?? 0))
        default: .position(position("e", offsets.randomElement(using: &generator) ?? 0))
        }
      places.stand(at: place, in: names[index])
      model[index] = place
      let anew = StreamPlaces(Array(zip(names, model)))
      guard places.id == anew.id, places.byNames == anew.byNames else {
        Issue.record("\(id(places)) is not \(id(anew)) after \(place)")
        return
      }
    }
  }

  /// What was asked for is answered with the same words where nothing was lost.
  @Test func whatIsBroughtBackIsSaidAgain() {
    let before = StreamPlaces([(names[0], .position(position("e", 7))), (names[1], .empty)])
    let read = StreamPlaces.decode(id(before), names) ?? [:]
    var after = StreamPlaces(names[..<2].map { ($0, read[$0] ?? .now) })
    #expect(after.id == before.id)
    after.stand(at: .position(position("e", 7)), in: names[0])
    #expect(after.id == before.id)
  }

  @Test func anIdIsGoodForOtherChannelsToo() {
    let places = StreamPlaces(names.map { ($0, .position(position("e", 7))) })
    let others = [names[2], channel("another"), names[0]]
    #expect(
      StreamPlaces.decode(id(places), others)
        == [names[0]: abbreviated("e", 7), names[2]: abbreviated("e", 7)])
  }

  /// One channel, and channels that the bits of their names can't tell apart, have vectors with names.
  @Test func whatCanNotBeShortNamesItsChannels() throws {
    let one = StreamPlaces([(names[0], .position(position("e", 7)))])
    #expect(id(one) == PositionVector.encode([(names[0], .position(position("e", 7)))]))
    var seen: [UInt32: ChannelName] = [:]
    var pair: [ChannelName] = []
    for number in 0..<100_000 where pair.isEmpty {
      let name = channel("n:\(UInt64(number) &* 0x9E37_79B9_7F4A_7C15)")
      if let other = seen.updateValue(name, forKey: crc32c([UInt8](name.text.utf8)) & 0xFF_FFFF) {
        pair = [other, name]
      }
    }
    try #require(pair.count == 2)
    var alike = StreamPlaces(pair.map { ($0, .empty) })
    alike.stand(at: .position(position("e", 8)), in: pair[1])
    #expect(id(alike) == PositionVector.encode([(pair[0], .empty), (pair[1], .position(position("e", 8)))]))
    #expect(alike.id.count <= StreamPlaces.bytesMax(pair))
  }

  @Test func aClientThatStandsNowhereHasNoId() {
    #expect(StreamPlaces([(names[0], .now), (names[1], .now)]).id.isEmpty)
    #expect(StreamPlaces([]).id.isEmpty && StreamPlaces([]).idText == nil)
  }

  @Test(arguments: [
    "", "AAAA", "~A", "~AAAA", "~AAAAAAAAAAA", "~AAAAAAAAAAAA*AAA", "~AAAABBBBCCCCwAAC", "~AAAABBBBCCCCwAAA",
    "~AAAABBBBCCCCQAAA", "~AAAABBBBCCCCgAAAAAAA", "~AAAABBBBCCCCgQAAAAAAAAAA", "~AAAABBBBCCCCAAAAAAAABBBBCCCCAAAA",
    "~AAAABBBBCCCCAAAA=",
  ])
  func whatIsNoIdIsRefused(text: String) {
    #expect(StreamPlaces.decode(text, names) == nil)
    #expect(text.isEmpty || Since.of(text, names) == nil)
  }

  @Test func anEpochsTagStandsInVectorsTheSame() {
    let place = abbreviated("e", 12)
    let vector = PositionVector.encode([(names[0], place)])
    #expect(PositionVector.decode(vector) == [names[0]: place])
    let tag = EpochTag(position("e", 0).epoch)
    var text: [UInt8] = []
    tag.append(to: &text)
    #expect(Since("~" + String(decoding: text, as: UTF8.self) + ":12") == place)
    #expect(Since("~short:12") == nil && Since("~AAAAAAAA:") == nil && EpochTag("AAAAAAA*") == nil)
  }

  @Test func epochsThatDifferHaveOtherTags() {
    let tags = (0..<20_000).map { EpochTag(Epoch(random: (UInt64($0), ~UInt64($0)))) }
    #expect(Set(tags).count == tags.count)
    #expect(EpochTag(position("e", 0).epoch) != EpochTag(position("f", 0).epoch))
  }
}

extension [UInt8] {
  fileprivate init(bigEndian24 bits: UInt32) {
    self = [UInt8(bits >> 16 & 255), UInt8(bits >> 8 & 255), UInt8(bits & 255)]
  }
}
