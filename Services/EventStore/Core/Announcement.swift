public import Bytes
public import Wire

/// An event with its place in the whole store, as it is announced to the hub.
public struct Announcement: Sendable, Equatable {
  public var position: Int64
  public var stream: ChannelName
  public var epoch: Epoch
  public var event: StoredEvent

  public init(position: Int64, stream: ChannelName, epoch: Epoch, event: StoredEvent) {
    self.position = position
    self.stream = stream
    self.epoch = epoch
    self.event = event
  }
}

/// Committed events in the order of their commits.
public struct AnnouncementPage: Sendable, Equatable {
  public var announcements: [Announcement]
  /// Positions whose event failed its checksum and is not announced; readers get `corrupt`.
  public var corruptCount: Int
  /// The position this page reaches; ask for what follows it next.
  public var through: Int64
  public var hasMore: Bool
}

/// Why a read gave nothing.
public enum ReadFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// The stored event does not match its checksum or can't be found; it is never served. Offset 0
  /// is the stream's own row.
  case corrupt(stream: ChannelName, offset: Offset)
  /// A name with an `@` that is no fork's.
  case noSuchFork(ChannelName)
  /// A position that is none of this store's: of another one, or beyond its last.
  case otherPosition
  /// The disk refused; another try may work.
  case unavailable(String)

  public var description: String {
    switch self {
    case .corrupt(let stream, let offset): "event \(offset) of \(stream) is corrupt"
    case .noSuchFork(let name): "there is no fork \(name)"
    case .otherPosition: "the position is none of this store's: begin anew"
    case .unavailable(let reason): reason
    }
  }
}
