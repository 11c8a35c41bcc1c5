internal import Bytes

/// What an event's `meta` says where it holds tags: `1:u8 tags:[name:text16 value:text16]u16`.
///
/// Names are unique, in the order they were given. Pure.
public struct EventTags: Equatable, Sendable {
  public struct Tag: Equatable, Sendable {
    public let name: String
    public let value: String
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// BUDGET: tags of one event, and bytes of all their names and values.
  public static let countMax = 64
  public static let bytesMax = 4_096

  private static let form: UInt8 = 1

  public let list: [Tag]

  /// Nil for more than there may be, for an empty name, and for a name given twice.
  public init?(_ list: [Tag]) {
    let bytes = list.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    let names = Set(list.map { [UInt8]($0.name.utf8) })
    guard list.count <= Self.countMax, bytes <= Self.bytesMax, names.count == list.count,
      !names.contains([])
    else { return nil }
    self.list = list
  }

  /// Nil where `meta` is nothing, or something else.
  public init?(meta: [UInt8]) {
    let meta = EventIDs.rest(of: meta)
    guard meta.first == Self.form, meta.count <= Self.bytesMax + 4 * Self.countMax + 3 else {
      return nil
    }
    let span = meta.span
    var cursor = ByteCursor(span)
    do throws(ByteError) {
      _ = try cursor.u8(span)
      let count = Int(try cursor.u16(span))
      var list: [Tag] = []
      for _ in 0..<count {
        list.append(Tag(name: try cursor.text16(span), value: try cursor.text16(span)))
      }
      self.init(list)
    } catch { return nil }
    guard cursor.isAtEnd else { return nil }
  }

  /// Empty where there are none.
  public var meta: [UInt8] {
    guard !list.isEmpty else { return [] }
    var w = ByteWriter(reserving: 64)
    w.u8(Self.form)
    w.list(list) { tag, w in
      w.text16(tag.name)
      w.text16(tag.value)
    }
    return w.bytes
  }
}
