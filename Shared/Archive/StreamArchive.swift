public import Bytes
internal import Crypto
internal import JSON
public import Wire

/// How a file says what is in a stream. Either has all of it.
public enum ArchiveFormat: String, Sendable, CaseIterable {
  /// A line of JSON for each event, in members of our own.
  case ndjson
  /// A CloudEvent 1.0 in JSON on each line.
  case cloudevents
}

/// What a file says of a stream before its first event.
public struct ArchiveHeader: Sendable, Equatable {
  /// Where the stream was forked from.
  public struct Fork: Sendable, Equatable {
    /// Empty where that was deleted.
    public var source: String
    public var at: Offset
    public init(source: String, at: Offset) {
      self.source = source
      self.at = at
    }
  }

  /// What every reader of this format knows.
  public static let version: Int64 = 1

  public var channel: ChannelName
  public var epoch: Epoch
  /// The stream's own: nobody is given what is up to it.
  public var floor: Offset
  /// The offset of the first event in the file.
  public var first: Offset
  /// The chain before that event.
  public var chain: StreamChain
  public var fork: Fork?

  public init(
    channel: ChannelName, epoch: Epoch, floor: Offset, first: Offset, chain: StreamChain,
    fork: Fork? = nil
  ) {
    self.channel = channel
    self.epoch = epoch
    self.floor = floor
    self.first = first
    self.chain = chain
    self.fork = fork
  }

  /// The object of the first line. Its last member is the SHA-256 of what stands before it: no chain
  /// covers a header.
  var json: [UInt8] {
    var writer = JSONWriter(reserving: 320)
    writer.beginObject()
    writer.field("sapphire", "stream")
    writer.field("version", Self.version)
    writer.field("channel", channel.text)
    writer.field("epoch", epoch.text)
    writer.field("floor", floor.value)
    writer.field("first", first.value)
    writer.field("chain", chain.hexadecimal)
    if let fork {
      writer.field("fork_of", fork.source)
      writer.field("fork_at", fork.at.value)
    }
    writer.field("sha256", hex(SHA256.digest(writer.bytes)))
    writer.endObject()
    return writer.bytes
  }

  /// Nil for anything but what `json` gives.
  init?(_ span: borrowing Span<UInt8>) {
    guard let value = try? JSONValue.parse(span), value["sapphire"]?.string == "stream",
      value["version"]?.int == Self.version,
      let channel = value["channel"]?.string.flatMap({ ChannelName($0) }),
      let epoch = value["epoch"]?.string.flatMap({ Epoch($0) }),
      let floor = Self.offset(value["floor"]), let first = Self.offset(value["first"]),
      first > floor,
      let chain = value["chain"]?.string.flatMap({ bytes(hex: $0) }).flatMap({ StreamChain($0) })
    else { return nil }
    self.init(channel: channel, epoch: epoch, floor: floor, first: first, chain: chain)
    if let source = value["fork_of"]?.string, let at = Self.offset(value["fork_at"]) {
      fork = Fork(source: source, at: at)
    }
    guard [UInt8](copying: span) == json else { return nil }
  }

  private static func offset(_ value: JSONValue?) -> Offset? {
    value?.int.flatMap { $0 >= 0 ? Offset(UInt64($0)) : nil }
  }
}

/// What a file says of a stream behind its last event.
struct ArchiveTrailer: Equatable {
  var count: UInt64
  var last: Offset
  var chain: StreamChain

  var json: [UInt8] {
    var writer = JSONWriter(reserving: 160)
    writer.beginObject()
    writer.field("sapphire", "end")
    writer.field("events", count)
    writer.field("last", last.value)
    writer.field("chain", chain.hexadecimal)
    writer.endObject()
    return writer.bytes
  }
}

/// Writes a stream as lines: the header, each event, the end. Pure; the caller keeps the lines, which end
/// with a line feed.
public struct ArchiveWriter: ~Copyable {
  public let header: ArchiveHeader
  public let format: ArchiveFormat
  public private(set) var chain: StreamChain
  public private(set) var count: UInt64 = 0
  private var maker = StreamChain.Maker()

  public init(_ header: ArchiveHeader, _ format: ArchiveFormat) {
    self.header = header
    self.format = format
    chain = header.chain
  }

  /// The offset of the event that is next.
  public var next: Offset { Offset(header.first.value &+ count) }
  /// The offset of the last event that was written, or that before the first.
  public var last: Offset { Offset(header.first.value &+ count &- 1) }

  public var firstLine: [UInt8] { ArchiveLine.header(header, format) + [10] }

  /// The line of the event that follows; its offset has to be `next`.
  public mutating func line(_ event: StoredEvent) -> [UInt8] {
    precondition(event.offset == next, "an event out of its order")
    add(event)
    return ArchiveLine.event(event, chain, header, format) + [10]
  }

  private mutating func add(_ event: StoredEvent) {
    var encoded = EncodedEvents()
    encoded.append(event)
    chain = maker.chain(chain, adding: encoded.bytes.span)
    count += 1
  }

  public var lastLine: [UInt8] {
    ArchiveLine.end(ArchiveTrailer(count: count, last: last, chain: chain), header, format) + [10]
  }
}
