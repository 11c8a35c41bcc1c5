import Bytes
import Testing
import struct Wire.ShownInfo

@testable import PresenceCore

/// What back ends are told of channels.
@Suite struct TellingTests {
  private static let everything: ChannelNews.Kinds = [.occupied, .vacated, .join, .leave]

  private func scene(_ kinds: ChannelNews.Kinds = everything) -> Scene {
    var scene = Scene()
    scene.board = PresenceBoard(startedAt: scene.now, telling: { $0 == lobby ? kinds : [] })
    scene.advance(by: .seconds(10))
    return scene
  }

  private func told(_ scene: inout Scene) -> [String] {
    scene.turn()
    var words: [String] = []
    for case .tell(_, let news) in scene.answers {
      for event in news {
        switch event {
        case .occupied: words.append("occupied")
        case .vacated: words.append("vacated")
        case .joined(let entry): words.append("join \(name(entry))")
        case .left(let entry): words.append("leave \(name(entry))")
        }
      }
    }
    scene.answers = []
    return words
  }

  private func name(_ entry: PresenceEntry) -> String {
    if case .user(let user) = entry.key { user.text } else { "nobody" }
  }

  @Test func theFirstOccupiesAndTheLastVacates() {
    var scene = scene()
    let link = scene.attach("a")
    scene.join(joining("c1", user: "ann"), on: link)
    #expect(told(&scene) == ["occupied", "join ann"])
    scene.join(joining("c2", user: "bob"), on: link)
    scene.join(joining("c3", user: "ann"), on: link)
    #expect(told(&scene) == ["join bob"])
    scene.leave("c1", on: link)
    #expect(told(&scene) == [])
    scene.leave("c3", on: link)
    #expect(told(&scene) == ["leave ann"])
    scene.leave("c2", on: link)
    #expect(told(&scene) == ["leave bob", "vacated"])
  }

  @Test func whoComesAndGoesWithinATurnIsNoNews() {
    var scene = scene()
    let link = scene.attach("a")
    scene.join(joining("c1", user: "ann"), on: link)
    scene.leave("c1", on: link)
    #expect(told(&scene) == [])
    scene.join(joining("c1", user: "ann"), on: link)
    #expect(told(&scene) == ["occupied", "join ann"])
    scene.leave("c1", on: link)
    scene.join(joining("c2", user: "bob"), on: link)
    #expect(told(&scene) == ["leave ann", "join bob"])
  }

  @Test func whoComesBackInTimeHasNotLeft() {
    var scene = scene()
    let link = scene.attach("a")
    scene.join(joining("c1", user: "ann"), on: link)
    #expect(told(&scene) == ["occupied", "join ann"])
    scene.leave("c1", lobby, .lost, on: link)
    scene.advance(by: .seconds(2), alive: [link])
    scene.join(joining("c2", user: "ann"), on: link)
    scene.advance(by: .seconds(20), alive: [link])
    #expect(told(&scene) == [])
    scene.leave("c2", lobby, .lost, on: link)
    scene.advance(by: .seconds(20), alive: [link])
    #expect(told(&scene) == ["leave ann", "vacated"])
  }

  @Test func onlyWhatIsAskedForIsTold() {
    var scene = scene([.vacated])
    let link = scene.attach("a")
    scene.join(joining("c1", user: "ann"), on: link)
    #expect(told(&scene) == [])
    scene.leave("c1", on: link)
    #expect(told(&scene) == ["vacated"])
  }

  @Test func channelsThatNobodyAsksAboutAreNotTold() throws {
    var scene = scene()
    let link = scene.attach("a")
    let other = try #require(ChannelName("other"))
    scene.join(
      PresenceJoin(channel: other, client: clientID("c1"), user: UserID("ann")), on: link)
    #expect(told(&scene) == [])
  }

  @Test func aServiceThatBeginsAnewTellsWhoIsThereAndWhoLeavesMeanwhile() {
    var scene = Scene(.justNow)
    scene.board = PresenceBoard(startedAt: scene.now, telling: { _ in Self.everything })
    let link = scene.attach("a", contact: .again, reporting: [joining("c1", user: "ann")])
    #expect(told(&scene) == ["occupied", "join ann"])
    // Watchers are not told who leaves while not everybody has reported; a back end is.
    scene.leave("c1", on: link)
    #expect(told(&scene) == ["leave ann", "vacated"])
  }

  // MARK: the queue

  private func text(_ bytes: [UInt8]?) -> String { String(decoding: bytes ?? [], as: UTF8.self) }

  private func entry(_ key: MemberKey, info: String = "") -> PresenceEntry {
    PresenceEntry(key: key, client: ClientID(171), info: [UInt8](info.utf8))
  }

  @Test func eventsHaveTheShapeThatBackEndsKnow() throws {
    var queue = TellQueue(run: "r", waitingMax: 10)
    queue.append(.occupied, in: lobby, timeMs: 1)
    let ann = MemberKey.user(try #require(UserID("ann")))
    queue.append(.joined(entry(ann, info: #"{"a":1}"#)), in: lobby, timeMs: 2)
    let own = MemberKey.session(try #require(SessionName("connection:00ab:bob")))
    queue.append(.left(entry(own, info: "{")), in: lobby, timeMs: 3)
    let both = ShownInfo(connection: [UInt8]("1".utf8), channel: [UInt8]("[2]".utf8)).stored
    queue.append(.joined(entry(ann, info: String(decoding: both, as: UTF8.self))), in: lobby, timeMs: 4)
    let channel = lobby.text
    #expect(
      text(queue.batch())
        == #"{"run":"r","dropped":0,"events":["#
        + #"{"id":"r-1","channel":"\#(channel)","time_ms":1,"type":"occupied"},"#
        + #"{"id":"r-2","channel":"\#(channel)","time_ms":2,"type":"join","client":"00000000000000ab","user":"ann","info":{"a":1}},"#
        + #"{"id":"r-3","channel":"\#(channel)","time_ms":3,"type":"leave","client":"00000000000000ab","user":"bob","b64info":"ew=="},"#
        + #"{"id":"r-4","channel":"\#(channel)","time_ms":4,"type":"join","client":"00000000000000ab","user":"ann","info":[2]}]}"#
    )
  }

  @Test func aBatchIsTheSameUntilItIsTaken() {
    var queue = TellQueue(run: "r", waitingMax: 1_000)
    queue.append(.occupied, in: lobby, timeMs: 1)
    let first = queue.batch()
    queue.append(.vacated, in: lobby, timeMs: 2)
    #expect(queue.batch() == first)
    #expect(queue.told() == 1)
    #expect(text(queue.batch()).contains(#""id":"r-2""#))
    #expect(queue.told() == 1)
    #expect(queue.batch() == nil && queue.isEmpty)
  }

  @Test func manyEventsAreSeveralBatchesInOrder() {
    var queue = TellQueue(run: "r", waitingMax: 10_000)
    for index in 0..<1_000 { queue.append(.occupied, in: lobby, timeMs: Int64(index)) }
    var numbers: [Int] = []
    var batches = 0
    while let body = queue.batch() {
      batches += 1
      for part in text(body).split(separator: #""id":"r-"#).dropFirst() {
        numbers.append(Int(part.prefix { $0 != "\"" }) ?? -1)
      }
      queue.told()
    }
    #expect(numbers == Array(1...1_000))
    #expect(batches == (1_000 + TellQueue.batchMax - 1) / TellQueue.batchMax)
  }

  @Test func whatDoesNotFitIsDroppedAndLeavesAHole() {
    var queue = TellQueue(run: "r", waitingMax: 2)
    for index in 0..<5 { queue.append(.occupied, in: lobby, timeMs: Int64(index)) }
    #expect(queue.count == 2 && queue.dropped == 3)
    _ = queue.batch()
    queue.told()
    queue.append(.vacated, in: lobby, timeMs: 9)
    let body = text(queue.batch())
    #expect(body.contains(#""dropped":3"#) && body.contains(#""id":"r-6""#))
    queue.giveUp()
    #expect(queue.dropped == 4 && queue.isEmpty)
  }
}
