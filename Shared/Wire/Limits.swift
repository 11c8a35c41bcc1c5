/// The bounds of the wire, in bytes and counts. Both ends hold them.
public enum Limits {
  /// A body that carries one client's payloads: 16 MiB of payload and room for what is around it.
  public static let largeBodyBytesMax = 17 * 1024 * 1024
  /// A page of names or members.
  public static let pageBodyBytesMax = 4 * 1024 * 1024
  /// Everything else.
  public static let smallBodyBytesMax = 64 * 1024
  /// The content of one artifact chunk.
  public static let chunkBytesMax = 256 * 1024
  /// What a fold has made of a stream, in one frame.
  public static let snapshotBytesMax = 8 * 1024 * 1024
  /// Events in one append or page.
  public static let eventsMax = 4096
  /// Bytes that a sender may have under way before the receiver grants more. Larger than the
  /// largest frame, or that frame could never be sent.
  public static let linkCreditBytes = 32 * 1024 * 1024
  /// Names opened on one link.
  public static let openChannelsMax = 1_000_000
}
