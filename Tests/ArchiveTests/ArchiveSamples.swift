import Archive
import Bytes
import Wire

/// A stream that has one of everything that an event may hold.
enum ArchiveSample {
  static let header: ArchiveHeader = {
    var chain = StreamChain()
    chain.add(event(1, .json, [UInt8]("0".utf8)))
    return ArchiveHeader(
      channel: ChannelName("log:a#1") ?? channel, epoch: Epoch("e1") ?? epoch, floor: Offset(1),
      first: Offset(2), chain: chain,
      fork: ArchiveHeader.Fork(source: "log:b", at: Offset(1)))
  }()

  static let channel = ChannelName("a") ?? { preconditionFailure("a name") }()
  static let epoch = Epoch("e") ?? { preconditionFailure("an epoch") }()

  static func event(
    _ offset: UInt64, _ kind: PayloadKind, _ bytes: [UInt8], time: Int64 = 1_700_000_000_123,
    client: UInt64 = 0, user: String = "", type: String = "", meta: [UInt8] = []
  ) -> StoredEvent {
    StoredEvent(
      offset: Offset(offset), timeMs: time, publisher: Publisher(client: client, user: user),
      eventType: type, meta: meta, payload: Payload(kind, bytes))
  }

  private static func text(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

  static let events: [StoredEvent] = [
    event(2, .json, text(#"{"a": [1,  2.50], "é":null}"#), client: .max, user: "ada", type: "move", meta: [1, 2]),
    // Neither may lose what JSON calls white space.
    event(3, .json, text("{\n \"a\":1}")),
    event(4, .json, text(" 1")),
    event(5, .text, text("two\nlines \u{2028} \"quoted\" \u{1}"), time: 0),
    event(6, .text, [0xff, 0xfe], user: "é"),
    event(7, .binary, [0, 255, 10], time: -1, type: "sapphire.stream.end"),
    event(8, .jsonWithParts, [1, 2, 3], time: .max, type: "sapphire.publication"),
    event(9, .uncheckedText, text("{}"), time: 253_402_300_799_999, type: "sapphire.publication.x"),
    event(10, .text, [UInt8](repeating: 1, count: 100), time: 951_782_400_000),
    event(11, .text, [], time: 4_107_542_399_999, type: "artifact", meta: [UInt8](repeating: 7, count: 32)),
    event(12, .json, text("not json at all")),
  ]

  /// The file, as lines without their ends.
  static func lines(_ format: ArchiveFormat) -> [[UInt8]] {
    var writer = ArchiveWriter(header, format)
    var lines = [writer.firstLine]
    for event in events { lines.append(writer.line(event)) }
    lines.append(writer.lastLine)
    return lines.map { [UInt8]($0.dropLast()) }
  }

  /// What reading lines gives: the events, or the first fault.
  static func read(_ lines: [[UInt8]]) -> Result<[ArchiveReader.Item], ArchiveFault> {
    var reader = ArchiveReader()
    do throws(ArchiveFault) {
      var items: [ArchiveReader.Item] = []
      for line in lines { items.append(try reader.take(line.span)) }
      try reader.finish()
      return .success(items)
    } catch { return .failure(error) }
  }

  /// The line at which reading fails; nil where it does not.
  static func faultLine(_ lines: [[UInt8]]) -> Int? {
    guard case .failure(let fault) = read(lines) else { return nil }
    return fault.line
  }
}
