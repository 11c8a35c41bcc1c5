internal import Bytes

/// What an event's `meta` says of its publisher, where there is something to say:
/// `2:u8 flags:u8 connectionInfo:bytes16 channelInfo:bytes16`, flags 1: not for its own client.
///
/// It stands there, and not in the frame of the live copy alone, so that what is read from a history
/// and what is announced after a crash are as the first copy was. Older builds pass it on unread. Only
/// events without tags have it, which those of clients are. Pure.
public struct EventOrigin: Equatable, Sendable {
  private static let form: UInt8 = 2
  private static let others: UInt8 = 1
  private static let infoBytesMax = 65_535

  /// The publisher's own client does not get it.
  public var isForOthers = false
  /// What others are shown of the client, JSON: wherever it is, and in this channel. Empty for none.
  public var connectionInfo: [UInt8] = []
  public var channelInfo: [UInt8] = []

  public init() {}

  /// Nil where `meta` is nothing, or something else. Flags that are not known are passed over.
  public init?(meta: [UInt8]) {
    let meta = EventIDs.rest(of: meta)
    guard meta.first == Self.form else { return nil }
    let span = meta.span
    var cursor = ByteCursor(span)
    do throws(ByteError) {
      _ = try cursor.u8(span)
      isForOthers = try cursor.u8(span) & Self.others != 0
      connectionInfo = try Self.info(&cursor, span)
      channelInfo = try Self.info(&cursor, span)
    } catch { return nil }
    guard cursor.isAtEnd else { return nil }
  }

  private static func info(
    _ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>
  ) throws(ByteError) -> [UInt8] {
    let range = try cursor.range16(span)
    return [UInt8](copying: span.extracting(range))
  }

  /// Empty where there is nothing to say. An info that is too long is left out.
  public var meta: [UInt8] {
    guard self != EventOrigin() else { return [] }
    var w = ByteWriter(reserving: 8 + connectionInfo.count + channelInfo.count)
    w.u8(Self.form)
    w.u8(isForOthers ? Self.others : 0)
    for info in [connectionInfo, channelInfo] {
      let fits = info.count <= Self.infoBytesMax
      w.u16(fits ? UInt16(clamping: info.count) : 0)
      if fits { w.raw(info) }
    }
    return w.bytes
  }
}
