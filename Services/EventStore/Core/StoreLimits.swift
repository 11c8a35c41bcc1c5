internal import Wire

/// The bounds of group commit that a configuration may set.
public struct WriteBounds: Sendable, Equatable {
  public var commitEvents = StoreLimits.commitEventsMax
  public var commitBytes = StoreLimits.commitBytesMax
  public var queueBytes = StoreLimits.queueBytesMax
  public init() {}
}

/// The store's bounds, each with what happens at it.
public enum StoreLimits {
  /// Events in one append; more is refused.
  public static let appendEventsMax = Limits.eventsMax
  /// Bytes in one append; more is refused, so that what stands around a single event in a page or
  /// in an announcement never makes that frame too long. One that is over a commit's bytes is
  /// committed alone.
  public static let appendBytesMax = Limits.largeBodyBytesMax - Limits.smallBodyBytesMax
  /// Bytes of an event's type; more is refused.
  public static let typeBytesMax = 255
  /// Bytes of an idempotency key; more is refused.
  public static let keyBytesMax = 255
  /// Bytes of a publisher's user; more is refused.
  public static let userBytesMax = 255
  /// What an event counts for beside its own bytes, so that empty ones are not free.
  public static let eventOverheadBytes = 64

  /// Group commit takes what waits up to here; the rest goes with the next commit.
  public static let commitEventsMax = 4_096
  public static let commitBytesMax = 4 << 20

  /// Appends waiting for the writer, in events and bytes; beyond, an append is `overloaded`.
  public static let queueEventsMax = 65_536
  public static let queueBytesMax = 64 << 20
  /// Reads waiting for the reader; beyond, a read is `overloaded`.
  public static let queueReadsMax = 4_096

  /// Forks, trims and deletions that wait, a commit each; beyond, one is `overloaded`.
  public static let queueOrdersMax = 1_024

  /// Snapshots that a search goes through where the newer ones are damaged or of other events.
  public static let snapshotsLookedAtMax = 4
  /// BUDGET: snapshots of a deleted stream that one commit removes, 64 MiB of the largest.
  public static let snapshotsRemovedMax = 8

  /// Bytes of events that are in no segment yet, before the oldest are put into one.
  ///
  /// BUDGET: memory of the store beside its caches, and what opening it reads: some 20 ms. With 64
  /// streams written in turns a segment is full at half of it; with ten thousand it has 800 bytes.
  public static let tailBytesMax = 8 << 20
  /// Bytes that go into segments with one commit, or twice what the commit adds if that is more.
  public static let segmentBytesPerCommit = 256 << 10
  /// Events in the log that are all in segments, before their rows are removed.
  public static let sweptEventsDue: Int64 = 4_096

  /// Pages of 8 KiB in the write-ahead log from which a checkpoint is due (16 MiB).
  public static let walPagesDue = 2_048
  /// Pages in the write-ahead log at which appends are refused as out of space (256 MiB):
  /// checkpoints then fail for want of space, or a reader never lets go.
  public static let walPagesMax = 32_768

  /// Bytes of a store of an older format that are read, before they are committed to the new database.
  /// BUDGET: a migration holds so much more than a store that serves.
  public static let migrationBytesPerCommit = 4 << 20

  /// Streams whose state is kept in memory; at the bound the memory is emptied and filled anew.
  public static let cachedStreamsMax = 65_536

  /// A page of a read: events and bytes, overhead included. A page always holds at least one event
  /// where there is one.
  public static let pageEventsMax = 1_024
  public static let pageBytesMax = 1 << 20

  /// Positions that one page of events in the order of commits looks at, and bytes that are read and checked
  /// for it. BUDGET: work of one page for who asks for what is rare; other reads wait for some ten
  /// milliseconds of it.
  public static let scannedEventsMax = 32_768
  public static let scannedBytesMax = 8 << 20
  /// Bytes of segments that such a page keeps, so that streams written in turns are read once.
  public static let scanKeptBytesMax = 4 << 20

  /// What a disk on which an append was refused has to have free, beside twice the append, before
  /// the store is said to be writable again.
  public static let probeRoomBytes: UInt64 = 256 << 10

  /// Segments looked through for what nobody can read any more, in one commit, and the pause after one
  /// that removed some. BUDGET: an append waits for one such commit, a few milliseconds.
  public static let reclaimPlacesMax = 64
  public static let reclaimPauseMs: Int64 = 20

  /// Streams, and places of one, whose retention is looked at in one commit; once a second.
  public static let retentionStreamsMax = 256
  public static let retentionPlacesMax = 256
  public static let retentionPauseMs: Int64 = 1_000

  /// Bytes of a producer's id; more is refused.
  public static let producerBytesMax = 255
  /// Producers of one stream that are known at a time; the append of one more is refused. BUDGET: rows of
  /// a stream, and what is counted when a producer is new.
  public static let producersMax = 1_024

  /// Idempotency keys removed in one sweep, and producers.
  public static let sweepKeysMax = 512
}
