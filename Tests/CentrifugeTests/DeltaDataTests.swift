import Bytes
import Centrifuge
import Delta
import JSON
import Testing

/// What a subscriber that asked for deltas makes of the publications it gets.
private struct DeltaSubscriber {
  let encoding: CentrifugeEncoding
  var last: [UInt8] = []

  mutating func receive(_ frame: [UInt8]) throws -> [UInt8] {
    guard case .push(let push) = try replies(encoding, frame).first?.body,
      case .publication(let publication) = push.event
    else { throw CentrifugeDecodeError.ambiguous }
    var data = publication.data
    if encoding == .json {
      let text = try #require(try JSONValue.parse(data.span).string)
      data = utf8(text)
    }
    if publication.isDelta {
      data = try FossilDelta.apply(data.span, to: last.span, targetBytesMax: 1 << 20)
    }
    last = data
    return data
  }
}

@Suite("Publications as deltas") struct DeltaDataTests {
  @Test(arguments: CentrifugeEncoding.allCases)
  func eachMakesThePayloadOfTheOneBefore(_ encoding: CentrifugeEncoding) throws {
    var subscriber = DeltaSubscriber(encoding: encoding)
    var last: [UInt8]?
    var deltas = 0
    for tick in 0..<60 {
      let names = ["Fähre", "ναῦς", "⛴️ \\\"\(tick)\\\"", "Öhre", "\(tick / 7)"]
      let units = (0..<20).map { #"{"id":\#($0),"name":"\#(names[(tick / 9 + $0) % 5])"}"# }
      let data = utf8("{\n\"tick\":\(tick),\"units\":[\(units.joined(separator: ", "))]}")
      var publication = CentrifugePublication(
        data: encoding.deltaData(data), offset: UInt64(tick + 1))
      if let last {
        let delta = FossilDelta.make(from: last.span, to: data.span, cut: .betweenCharacters)
        if delta.count < data.count {
          publication.data = encoding.deltaData(delta)
          publication.isDelta = true
          deltas += 1
        }
      }
      let push = CentrifugePush(channel: "sim:tick", .publication(publication))
      #expect(try subscriber.receive(encoding.encode(CentrifugeReply(push))) == data)
      last = data
    }
    #expect(deltas > 50)
  }
}
