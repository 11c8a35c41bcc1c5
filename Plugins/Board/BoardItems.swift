import ChannelKit
import JSON

/// The items of a board, as the publications so far make them.
struct BoardItems {
  /// BUDGET: a page of a snapshot stays well below what a client accepts as one message.
  static let pageBytesMax = 64 << 10

  private var items: [String: BoardItem] = [:]
  /// The offset of the last publication.
  private var head: UInt64 = 0
  /// Bytes of all fields.
  private(set) var bytes = 0

  init() {}

  var count: Int { items.count }
  /// The offset of the next publication, if no other comes first.
  var nextVersion: UInt64 { head &+ 1 }
  subscript(id: String) -> BoardItem? { items[id] }

  /// What came before is no longer kept.
  mutating func begins(after floor: Offset) { head = floor.value }

  mutating func apply(_ publication: Publication) {
    guard let offset = publication.offset else { return }
    head = offset.value
    // A message that the board published itself has its own offset as version; others are not its.
    guard let message = try? BoardMessage(reading: publication.payload),
      let id = message.id, message.version == head
    else { return }
    let old = items[id]
    switch message.op {
    case .add:
      guard old == nil, let author = message.author, items.count < BoardLimits.most.itemsMax
      else { return }
      replace(
        nil,
        with: BoardItem(
          id: id, author: author, isAnonymous: message.isAnonymous, added: head, version: head,
          timeMs: publication.timeMs, fields: message.fields))
    case .change:
      guard let old else { return }
      var item = old.changed(by: message.fields)
      item.version = head
      item.timeMs = publication.timeMs
      replace(old, with: item)
    case .remove:
      guard let old else { return }
      items[id] = nil
      bytes -= old.fieldBytes
    }
  }

  private mutating func replace(_ old: BoardItem?, with item: BoardItem) {
    let change = item.fieldBytes - (old?.fieldBytes ?? 0)
    guard bytes + change <= BoardLimits.most.bytesMax else { return }
    items[item.id] = item
    bytes += change
  }

  private var inOrder: [BoardItem] { items.values.sorted { $0.added < $1.added } }

  /// What a newcomer sees: `{"op":"snapshot","page":1,"pages":2,"items":[…]}`, at least one page.
  func pages() -> [Payload] {
    var pages: [[BoardItem]] = [[]]
    var pageBytes = 0
    for item in inOrder {
      if pageBytes + item.fieldBytes > Self.pageBytesMax, pageBytes > 0 {
        pages.append([])
        pageBytes = 0
      }
      pageBytes += item.fieldBytes + 128
      pages[pages.count - 1].append(item)
    }
    return pages.enumerated().map { index, items in
      var writer = JSONWriter()
      writer.beginObject()
      writer.field("op", "snapshot")
      writer.field("page", UInt64(index + 1))
      writer.field("pages", UInt64(pages.count))
      writer.key("items")
      writer.beginArray()
      for item in items { item.write(to: &writer) }
      writer.endArray()
      writer.endObject()
      return Payload(.json, writer.bytes)
    }
  }
}

// The checkpoint, little-endian: u8 version 1 · u64 head · u32 items, each: id, author (u16 count
// and text) · u8 anonymous · u64 added · u64 version · i64 time · u16 fields, each: name (u16 count
// and text) · value (u32 count and bytes).
extension BoardItems {
  private static let checkpointVersion: UInt8 = 1

  func checkpoint() -> [UInt8] {
    var writer = ByteWriter(reserving: bytes + 128 * items.count + 16)
    writer.u8(Self.checkpointVersion)
    writer.u64(head)
    writer.u32(UInt32(truncatingIfNeeded: items.count))
    for item in inOrder {
      writer.text16(item.id)
      writer.text16(item.author)
      writer.u8(item.isAnonymous ? 1 : 0)
      writer.u64(item.added)
      writer.u64(item.version)
      writer.i64(item.timeMs)
      writer.u16(UInt16(truncatingIfNeeded: item.fields.count))
      for field in item.fields {
        writer.text16(field.name)
        writer.bytes32(field.value)
      }
    }
    return writer.bytes
  }

  init(checkpoint: [UInt8]) throws(ByteError) {
    let span = checkpoint.span
    var cursor = ByteCursor(span)
    guard try cursor.u8(span) == Self.checkpointVersion else { throw .truncated }
    head = try cursor.u64(span)
    for _ in 0..<(try cursor.u32(span)) {
      let item = try BoardItem(&cursor, span)
      items[item.id] = item
      bytes += item.fieldBytes
    }
    guard cursor.isAtEnd else { throw .truncated }
  }
}

extension BoardItem {
  fileprivate init(_ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>) throws(ByteError) {
    id = try cursor.text16(span)
    author = try cursor.text16(span)
    isAnonymous = try cursor.u8(span) != 0
    added = try cursor.u64(span)
    version = try cursor.u64(span)
    timeMs = try cursor.i64(span)
    fields = []
    for _ in 0..<(try cursor.u16(span)) {
      fields.append(BoardField(try cursor.text16(span), try cursor.bytes32(span)))
    }
  }
}
