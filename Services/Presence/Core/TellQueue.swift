internal import Bytes
internal import JSON
internal import Wire

/// What a back end has still to be told, in the order it happened. Pure; bounded.
///
/// Events are numbered from 1 in one run of the service; `RUN-NUMBER` is an event's id, the same
/// however often it is told. What comes while the queue is full is dropped, and leaves a hole in the
/// numbers: whoever counts finds it.
struct TellQueue {
  private let run: String
  private let waitingMax: Int
  private var number: UInt64 = 0
  private var events: [[UInt8]] = []
  private var first = 0
  private var bytes = 0
  /// Events that nobody will be told.
  private(set) var dropped: UInt64 = 0
  /// Events of the batch that is being told.
  private var underWay = 0

  /// BUDGET: events of one batch, and their bytes.
  static let batchMax = 256
  static let batchBytesMax = 256 * 1024
  /// BUDGET: bytes of all events that wait.
  static let bytesMax = 64 << 20

  /// - Parameter run: names this run of the service.
  init(run: String, waitingMax: Int) {
    self.run = run
    self.waitingMax = waitingMax
  }

  var count: Int { events.count - first }
  var isEmpty: Bool { count == 0 }

  /// - Parameter timeMs: milliseconds since 1970.
  mutating func append(_ news: ChannelNews, in channel: ChannelName, timeMs: Int64) {
    number += 1
    guard count < waitingMax, bytes < Self.bytesMax else {
      dropped += 1
      return
    }
    let event = Self.json(news, channel, id: "\(run)-\(number)", timeMs)
    bytes += event.count
    events.append(event)
  }

  /// The next batch's body; nil where there is none. It is next until `told` or `giveUp`.
  mutating func batch() -> [UInt8]? {
    guard !isEmpty else { return nil }
    var writer = JSONWriter(reserving: 4_096)
    writer.beginObject()
    writer.field("run", run)
    writer.field("dropped", dropped)
    writer.key("events")
    writer.beginArray()
    var taken = 0
    var size = 0
    let most = underWay > 0 ? underWay : Self.batchMax
    while taken < min(most, count), underWay > 0 || taken == 0 || size < Self.batchBytesMax {
      let event = events[first + taken]
      writer.raw(event)
      size += event.count
      taken += 1
    }
    underWay = taken
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  /// The batch has been taken. How many events it had.
  @discardableResult
  mutating func told() -> Int {
    let count = underWay
    for index in first..<(first + count) { bytes -= events[index].count }
    first += count
    underWay = 0
    if first == events.count {
      events.removeAll(keepingCapacity: events.count < 1_024)
      first = 0
    } else if first > 1_024, first * 2 > events.count {
      events.removeFirst(first)
      first = 0
    }
    return count
  }

  /// Nobody will take the batch.
  mutating func giveUp() { dropped += UInt64(told()) }

  private static func json(
    _ news: ChannelNews, _ channel: ChannelName, id: String, _ timeMs: Int64
  ) -> [UInt8] {
    var writer = JSONWriter(reserving: 160)
    writer.beginObject()
    writer.field("id", id)
    writer.field("channel", channel.text)
    writer.field("time_ms", timeMs)
    switch news {
    case .occupied: writer.field("type", "occupied")
    case .vacated: writer.field("type", "vacated")
    case .joined(let entry):
      writer.field("type", "join")
      append(entry, to: &writer)
    case .left(let entry):
      writer.field("type", "leave")
      append(entry, to: &writer)
    }
    writer.endObject()
    return writer.bytes
  }

  /// `client`, `user` and `info` as clients are shown them.
  private static func append(_ entry: PresenceEntry, to writer: inout JSONWriter) {
    let digits = String(entry.client.number, radix: 16)
    writer.field("client", String(repeating: "0", count: max(0, 16 - digits.count)) + digits)
    let user =
      switch entry.key {
      case .user(let user): user.text
      case .session(let name): OwnMember.user(ofSession: name.text)
      case .client: ""
      }
    writer.field("user", user)
    let info = ShownInfo(stored: entry.info).shown
    guard !info.isEmpty else { return }
    if (try? JSON.validate(info.span)) != nil {
      writer.key("info")
      writer.raw(info)
    } else {
      writer.field("b64info", base64(info))
    }
  }
}
