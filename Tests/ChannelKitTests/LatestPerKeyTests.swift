import Bytes
import ChannelKit
import TestKit
import Testing

@Suite struct LatestPerKeyTests {
  private let frameNs: UInt64 = 1_000_000_000 / 30

  @Test func sendsTheFirstAtOnceAndMergesWhatFollows() {
    var merge = LatestPerKey(framesPerSecond: 30)
    #expect(merge.dueNs == nil)
    merge.keep(publication("a1"), key: "a")
    #expect(texts(merge.takeFrame(atNs: 1_000)) == ["a1"])
    merge.keep(publication("a2"), key: "a")
    merge.keep(publication("a3"), key: "a")
    #expect(merge.dueNs == 1_000 + frameNs)
    #expect(merge.takeFrame(atNs: 1_000 + frameNs - 1) == [])
    #expect(texts(merge.takeFrame(atNs: 1_000 + frameNs)) == ["a3"])
    #expect(merge.isEmpty && merge.dueNs == nil && merge.mergedCount == 1)
  }

  @Test func framesKeepTheOrderOfTheLatest() {
    var merge = LatestPerKey(framesPerSecond: 30)
    merge.keep(publication("a1"), key: "a")
    merge.keep(publication("b1"), key: "b")
    merge.keep(publication("a2"), key: "a")
    #expect(texts(merge.takeFrame(atNs: 0)) == ["b1", "a2"])
  }

  @Test func givesUpTheLongestWaitingBeyondItsBound() {
    var merge = LatestPerKey(framesPerSecond: 1, keysMax: 2)
    merge.keep(publication("a1"), key: "a")
    merge.keep(publication("b1"), key: "b")
    merge.keep(publication("a2"), key: "a")
    merge.keep(publication("c1"), key: "c")
    #expect(merge.droppedCount == 1)
    #expect(texts(merge.takeFrame(atNs: 0)) == ["a2", "c1"])
  }

  @Test func agreesWithAPlainListUnderRandomUse() {
    var random = SeededGenerator()
    for keysMax in [1, 2, 7, 40] {
      var merge = LatestPerKey(framesPerSecond: 30, keysMax: keysMax)
      var model: [(key: String, text: String)] = []
      for step in 0..<3_000 {
        let key = String(random.next() % 50)
        merge.keep(publication("\(step)"), key: key)
        model.removeAll { $0.key == key }
        if model.count == keysMax { model.removeFirst() }
        model.append((key, "\(step)"))
        if random.next() % 40 == 0 {
          let frame = texts(merge.takeFrame(atNs: UInt64(step + 1) * frameNs))
          #expect(frame == model.map(\.text), "\(random), keysMax \(keysMax), step \(step)")
          model = []
        }
      }
    }
  }

  @Test func aClockAtItsEndDoesNotTrap() {
    var merge = LatestPerKey(framesPerSecond: 0)
    merge.keep(publication("a"), key: "a")
    #expect(merge.takeFrame(atNs: .max).count == 1)
    merge.keep(publication("b"), key: "a")
    #expect(merge.dueNs == .max)
  }

  private func publication(_ text: String) -> Publication {
    Publication(offset: nil, timeMs: 0, payload: Payload(text: text))
  }

  private func texts(_ frame: [Publication]) -> [String] {
    frame.map { String(decoding: $0.payload.bytes, as: UTF8.self) }
  }
}
