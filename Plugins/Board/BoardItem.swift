import ChannelKit
import JSON

/// A member of an item that the board gives no meaning: its name, and its JSON as it was written.
struct BoardField: Equatable {
  let name: String
  let value: [UInt8]

  init(_ name: String, _ value: [UInt8]) {
    self.name = name
    self.value = value
  }

  var isNull: Bool { value.first == UInt8(ascii: "n") }
  var bytes: Int { name.utf8.count + value.count }
}

extension [BoardField] {
  var bytes: Int { reduce(0) { $0 + $1.bytes } }

  func write(to writer: inout JSONWriter) {
    for field in self {
      writer.key(field.name)
      writer.raw(field.value)
    }
  }
}

/// One item of a board.
struct BoardItem: Equatable {
  let id: String
  let author: String
  /// Added by a client whose user was not known.
  let isAnonymous: Bool
  /// The offset at which it was added: items are shown in this order.
  let added: UInt64
  /// The offset of its last change.
  var version: UInt64
  /// Of its last change, in milliseconds since 1970.
  var timeMs: Int64
  var fields: [BoardField]

  var fieldBytes: Int { fields.bytes }

  /// The item with fields replaced, added or, where they are null, taken away.
  func changed(by changes: [BoardField]) -> BoardItem {
    var item = self
    for change in changes {
      let index = item.fields.firstIndex { haveSameBytes($0.name, change.name) }
      switch (index, change.isNull) {
      case (let index?, true): item.fields.remove(at: index)
      case (let index?, false): item.fields[index] = change
      case (nil, true): break
      case (nil, false): item.fields.append(change)
      }
    }
    return item
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("id", id)
    writer.field("version", version)
    writer.field("time", timeMs)
    writer.field("author", author)
    if isAnonymous { writer.field("anonymous", true) }
    fields.write(to: &writer)
    writer.endObject()
  }
}
