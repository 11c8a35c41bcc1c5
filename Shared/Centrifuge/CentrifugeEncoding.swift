public import JSON

/// The client protocol of Centrifuge, as values: what a client asks, and what it is told.
///
/// A frame is one WebSocket message, the body of one POST, or one event of a stream. It holds
/// commands (from a client, `CentrifugeCommandReader`) or replies and pushes (to a client,
/// `encode(_:)` and `append(_:to:)`), in one of two encodings that say the same.
///
/// Source: the client protocol page of centrifugal.dev, and the field names and numbers of
/// `client.proto` in the repository centrifugal/protocol. Not read and never written: map
/// subscriptions, numeric channel ids, compression dictionaries. Their fields are skipped like any
/// that isn't known, except `type`, so that who asks for them can be refused.
///
/// Pure: no socket, no clock, no queue. Any thread. The gateway speaks it: docs/CENTRIFUGE.md.
public enum CentrifugeEncoding: Sendable, Hashable, CaseIterable {
  /// One JSON object a line. Payloads are JSON, passed on with their very bytes but line breaks.
  case json
  /// Messages of Protobuf, each behind its length as a varint. Payloads are any bytes. On a
  /// WebSocket it is asked for with the subprotocol `centrifuge-protobuf`.
  case protobuf

  /// The WebSocket subprotocol that stands for Protobuf.
  public static let protobufSubprotocol = "centrifuge-protobuf"
}

/// What a decoder accepts, besides the size of a frame, which its transport bounds.
public struct CentrifugeLimits: Sendable, Hashable {
  /// Elements of lists and maps in one message, all together: each may cost much more memory than
  /// bytes on the wire.
  public var itemsMax: Int
  /// Messages within messages; a tag filter is as deep as its author likes.
  public var depthMax: Int

  public init(itemsMax: Int = 1_024, depthMax: Int = 16) {
    self.itemsMax = itemsMax
    self.depthMax = depthMax
  }
}

/// Why a frame is no frame of this protocol. A client that sent it is told
/// `CentrifugeDisconnect.badRequest`.
public enum CentrifugeDecodeError: Error, Hashable, Sendable {
  case json(JSONError)
  case protobuf(ProtobufError)
  /// A field whose value is of another type than the protocol says.
  case wrongType(field: String)
  /// A number that its field can't hold.
  case numberOutOfRange(field: String)
  /// A length that reaches past the end of the frame.
  case truncatedFrame
  /// More elements than `CentrifugeLimits.itemsMax`.
  case tooManyItems
  /// Deeper than `CentrifugeLimits.depthMax`.
  case tooDeep
  /// A message that may say one thing says two: a command with two requests, for example.
  case ambiguous
}
