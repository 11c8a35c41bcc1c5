/// Why a stream ended.
public enum StreamEnd: Equatable, Sendable {
  /// The peer closed its side.
  case peerClosed
  /// We closed it.
  case closedHere
  /// A system call failed with this errno.
  case failed(Int32)
  /// The peer sent more than its protocol may leave unread.
  case unreadTooLong
  /// What the peer sent means nothing to the stream's transform, or ended before its time.
  case broken(reason: String)
}

/// What a stream tells its owner. Calls come on the loop, never after `streamEnded`.
public protocol StreamOwner: AnyObject {
  /// The stream's transform is open: what was sent before now leaves, and bytes follow. Once, and
  /// never for a stream without a transform.
  func streamOpened(_ stream: Stream)
  /// Bytes are here: what was left last time, then what is new. Returns how many were taken; the
  /// rest comes back with the next read, and once more before the end. A protocol that takes nothing of 128 KiB is cut off.
  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int
  /// All that was queued has been written, after the queue had been blocked, had held more than
  /// 64 KiB, or `tellWhenEmpty` was called.
  func streamDrained(_ stream: Stream)
  /// The peer has closed its side and may still read. Whether the owner has something to say to it
  /// and closes the stream itself then; if not, the stream ends now.
  func streamPeerFinished(_ stream: Stream) -> Bool
  /// The stream is closed. Called once, at the end of the turn in which it happened.
  func streamEnded(_ stream: Stream, _ end: StreamEnd)
}

extension StreamOwner {
  public func streamOpened(_ stream: Stream) {}
  public func streamPeerFinished(_ stream: Stream) -> Bool { false }
}
