import ChannelKit
import JSON

// What newcomers see, and what `restore` reads.
extension StateDocuments {
  /// BUDGET: a page of a snapshot stays well below what a client accepts as one message, unless one
  /// value is larger.
  static let pageBytesMax = 64 << 10

  /// `{"event":"state.snapshot","page":1,"pages":2,"documents":[…]}` in the order of keys, at least one.
  func pages() -> [Payload] {
    var pages: [[StateDocument]] = [[]]
    var pageBytes = 0
    for document in inOrder {
      if pageBytes + document.weight > Self.pageBytesMax, pageBytes > 0 {
        pages.append([])
        pageBytes = 0
      }
      pageBytes += document.weight
      pages[pages.count - 1].append(document)
    }
    return pages.enumerated().map { index, documents in
      var writer = JSONWriter()
      writer.beginObject()
      writer.field("event", "state.snapshot")
      writer.field("page", UInt64(index + 1))
      writer.field("pages", UInt64(pages.count))
      writer.key("documents")
      writer.beginArray()
      for document in documents { document.write(to: &writer) }
      writer.endArray()
      writer.endObject()
      return Payload(.json, writer.bytes)
    }
  }

  // The checkpoint, little-endian: u8 version 1 · u64 head · u32 documents, in the order of keys, each:
  // key, by (u16 count and text) · u64 version, whole version, removal version · i64 time · u8 1 for an
  // object · its u16 members, each: name (u16 count and text) · value (u32 count and bytes) · u64
  // version; or value (u32 count and bytes).
  private static var checkpointVersion: UInt8 { 1 }

  func checkpoint() -> [UInt8] {
    var writer = ByteWriter(reserving: bytes + 160 * count + 16)
    writer.u8(Self.checkpointVersion)
    writer.u64(nextVersion &- 1)
    writer.u32(UInt32(truncatingIfNeeded: count))
    for document in inOrder { document.write(to: &writer) }
    return writer.bytes
  }

  init(checkpoint: [UInt8]) throws(ByteError) {
    self.init()
    let span = checkpoint.span
    var cursor = ByteCursor(span)
    guard try cursor.u8(span) == Self.checkpointVersion else { throw .invalidValue }
    begins(after: Offset(try cursor.u64(span)))
    for _ in 0..<(try cursor.u32(span)) { try add(StateDocument(&cursor, span)) }
    guard cursor.isAtEnd else { throw .truncated }
  }
}

extension StateDocument {
  fileprivate func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("key", key)
    writer.key("value")
    value.write(to: &writer)
    writer.field("version", version)
    writer.field("time", timeMs)
    if !by.isEmpty { writer.field("by", by) }
    writer.endObject()
  }

  fileprivate func write(to writer: inout ByteWriter) {
    writer.text16(key)
    writer.text16(by)
    writer.u64(version)
    writer.u64(wholeVersion)
    writer.u64(removalVersion)
    writer.i64(timeMs)
    switch value {
    case .object(let members):
      writer.u8(1)
      writer.u16(UInt16(truncatingIfNeeded: members.count))
      for member in members {
        writer.text16(member.name)
        writer.bytes32(member.value)
        writer.u64(member.version)
      }
    case .other(let json):
      writer.u8(0)
      writer.bytes32(json)
    }
  }

  fileprivate init(_ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>) throws(ByteError) {
    key = try cursor.text16(span)
    by = try cursor.text16(span)
    version = try cursor.u64(span)
    wholeVersion = try cursor.u64(span)
    removalVersion = try cursor.u64(span)
    timeMs = try cursor.i64(span)
    guard try cursor.u8(span) == 1 else {
      value = .other(try cursor.bytes32(span))
      return
    }
    var members: [StateMember] = []
    for _ in 0..<(try cursor.u16(span)) {
      members.append(
        StateMember(
          name: try cursor.text16(span), value: try cursor.bytes32(span),
          version: try cursor.u64(span)))
    }
    value = .object(members)
  }
}
