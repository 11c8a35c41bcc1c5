internal import Bytes

/// What an event's `meta` says of where it comes from, where its publisher said so:
/// `3:u8 correlation:text16 causation:text16`, and behind it the tags or the origin as they would be
/// alone (`EventTags`, `EventOrigin`).
///
/// Older builds pass it on unread: they show neither these nor what is behind them. Pure.
public struct EventIDs: Equatable, Sendable {
  /// BUDGET: bytes of either.
  public static let bytesMax = 255
  private static let form: UInt8 = 3

  /// What it belongs together with; empty for nothing.
  public var correlation: String
  /// What caused it; empty for nothing.
  public var causation: String

  public init(correlation: String = "", causation: String = "") {
    self.correlation = correlation
    self.causation = causation
  }

  /// Nil where `meta` is nothing, or something else.
  public init?(meta: [UInt8]) {
    guard let (ids, _) = Self.split(meta) else { return nil }
    self = ids
  }

  /// What `meta` says beside these.
  static func rest(of meta: [UInt8]) -> [UInt8] { split(meta)?.rest ?? meta }

  private static func split(_ meta: [UInt8]) -> (ids: EventIDs, rest: [UInt8])? {
    guard meta.first == form else { return nil }
    let span = meta.span
    var cursor = ByteCursor(span)
    do throws(ByteError) {
      _ = try cursor.u8(span)
      let ids = EventIDs(correlation: try cursor.text16(span), causation: try cursor.text16(span))
      guard ids.isWithinLimits, ids != EventIDs() else { return nil }
      return (ids, Array(meta[cursor.offset...]))
    } catch { return nil }
  }

  public var isWithinLimits: Bool {
    correlation.utf8.count <= Self.bytesMax && causation.utf8.count <= Self.bytesMax
  }

  /// `rest` is the meta of tags or origin, or empty; alone where there is no id.
  public func meta(with rest: [UInt8] = []) -> [UInt8] {
    guard self != EventIDs() else { return rest }
    var w = ByteWriter(reserving: 5 + correlation.utf8.count + causation.utf8.count + rest.count)
    w.u8(Self.form)
    w.text16(correlation)
    w.text16(causation)
    w.raw(rest)
    return w.bytes
  }
}
