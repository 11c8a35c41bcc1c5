public import Bytes

/// Asks a service for what it counts. Only to who knows it (`Hello.metrics`). Answered by *metricsText*.
public struct ReadMetrics: WireMessage {
  public static let kind = Kind.readMetrics
  public static let layout = "remainingMs:u32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public init(remainingMs: UInt32) { self.remainingMs = remainingMs }
  public func encode(into w: inout ByteWriter) { w.u32(remainingMs) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
  }
}

/// What a service counts, as Prometheus text (format 0.0.4). Every name of it begins with the
/// service's own, so that the texts of several make one.
public struct MetricsText: WireMessage {
  public static let kind = Kind.metricsText
  public static let layout = "text:bytes32"
  /// Whole lines of UTF-8.
  public var text: [UInt8]
  public init(text: [UInt8]) { self.text = text }
  public func encode(into w: inout ByteWriter) { w.bytes32(text) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    text = try c.bytes32(s)
  }
}
