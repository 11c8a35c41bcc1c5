import Bytes
import Crypto
import Foundation
import Wire

@testable import EventStoreCore

/// A store that an older program wrote, and what that program said is in it (`Stores/format-N`).
struct OlderStore {
  let contents: Contents
  private let folder: String

  init(format: Int) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
    folder = file.appending(path: "Stores/format-\(format)").path
    contents = try Contents(
      lines: try String(contentsOfFile: "\(folder)/contents.jsonl", encoding: .utf8))
  }

  static let files = [StoreSchema.fileName, StoreSchema.fileName + "-wal", HeadMarkFile.name]

  /// A copy that may be changed, with the clock a second after the last commit.
  func copy(under parent: String = "/tmp") throws -> TemporaryStore {
    let copy = try TemporaryStore(under: parent)
    copy.wall = contents.store.wall + 1_000
    for file in Self.files { _ = try StoreFiles.copy("\(folder)/\(file)", to: copy.path(file)) }
    return copy
  }

  /// What a store holds, as the lines of `contents.jsonl` say it.
  struct Contents: Equatable {
    var events: [Event] = []
    var streams: [Stream] = []
    var keys: [Key] = []
    var store: Store

    struct Event: Equatable, Decodable {
      var position: Int64
      var stream: String
      var offset: UInt64
      var time: Int64
      var client: String
      var user: String
      var kind: UInt8
      var type: String
      var meta: String
      var bytes: Int
      var sha256: String
    }

    struct Stream: Equatable, Decodable {
      var stream: String
      var epoch: String
      var floor: UInt64
      var head: UInt64
    }

    struct Key: Equatable, Decodable {
      var key: String
      var stream: String
      var texts: [String]
      var first: UInt64
      var time: Int64
      /// Whether it has not expired.
      var kept: Bool
    }

    struct Store: Equatable, Decodable {
      var commits: UInt64
      var events: Int64
      var announced: Int64
      /// The epoch that `never.begun` begins with.
      var empty: String
      var wall: Int64
    }
  }
}

extension OlderStore.Contents {
  /// Tells lines apart by the one field that only they have.
  init(lines: String) throws {
    let decoder = JSONDecoder()
    var (events, streams, keys): ([Event], [Stream], [Key]) = ([], [], [])
    var store: Store?
    for line in lines.split(separator: "\n") {
      let data = Data(line.utf8)
      if let key = try? decoder.decode(Key.self, from: data) {
        keys.append(key)
      } else if let event = try? decoder.decode(Event.self, from: data) {
        events.append(event)
      } else if let stream = try? decoder.decode(Stream.self, from: data) {
        streams.append(stream)
      } else {
        store = try decoder.decode(Store.self, from: data)
      }
    }
    self.init(events: events, streams: streams, keys: keys, store: store!)
  }

  /// Reads all that a store holds, what is under the floors as well; keys as they were expected.
  init(of opened: EventStore, keys: [Key], wall: Int64) throws {
    let reader = try StoreReader(of: opened)
    let streams = try reader.streams(limit: 1_024).map { head in
      Stream(
        stream: head.name.text, epoch: head.epoch?.text ?? "", floor: head.floor.value,
        head: head.head.value)
    }
    self.init(
      events: try Self.events(of: reader, after: 0, through: opened.position), streams: streams,
      keys: keys,
      store: Store(
        commits: opened.commits, events: opened.position, announced: opened.announced,
        empty: try reader.head(of: name("never.begun")).epoch?.text ?? "", wall: wall))
  }

  static func events(
    of reader: StoreReader, after position: Int64, through last: Int64
  ) throws -> [Event] {
    var events: [Event] = []
    var position = position
    while position < last {
      let page = try reader.unannounced(after: position)
      guard page.corruptCount == 0, page.through > position else { break }
      position = page.through
      events += page.announcements.map { Event($0.event, at: $0.position, of: $0.stream) }
    }
    return events
  }
}

extension OlderStore.Contents.Event {
  init(_ event: StoredEvent, at position: Int64, of stream: ChannelName) {
    self.init(
      position: position, stream: stream.text, offset: event.offset.value, time: event.timeMs,
      client: String(event.publisher.client), user: event.publisher.user,
      kind: event.payload.kind.rawValue, type: event.eventType, meta: hex(event.meta),
      bytes: event.payload.bytes.count, sha256: hex(SHA256.digest(event.payload.bytes)))
  }
}
