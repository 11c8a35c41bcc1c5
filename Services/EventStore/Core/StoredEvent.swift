public import Bytes

/// One event as it was stored.
public struct StoredEvent: Sendable, Hashable {
  public var offset: Offset
  /// Milliseconds since 1970, as the publisher's side gave it.
  public var time: Int64
  public var event: NewEvent
  /// Who acted; nil is the service itself.
  public var principal: String?

  public init(offset: Offset, time: Int64, event: NewEvent, principal: String?) {
    self.offset = offset
    self.time = time
    self.event = event
    self.principal = principal
  }
}

/// A stretch of one stream, and where the stream stands.
public struct EventPage: Sendable, Hashable {
  /// Nil for a stream that was never appended to: it is an empty one.
  public var epoch: Epoch?
  /// The first offset that is still kept; 1 where nothing was trimmed.
  public var floor: Offset
  /// The last offset; 0 for an empty stream.
  public var head: Offset
  /// In order of offset, without a gap among them.
  public var events: [StoredEvent]
  /// Whether the stream goes on after the last of `events`.
  public var hasMore: Bool

  /// The page of a stream that does not exist.
  public static let empty = EventPage(
    epoch: nil, floor: Offset(1), head: .zero, events: [], hasMore: false)
}

/// Where one stream stands.
public struct StreamHead: Sendable, Hashable {
  public var name: ChannelName
  public var epoch: Epoch
  public var floor: Offset
  public var head: Offset

  public init(name: ChannelName, epoch: Epoch, floor: Offset, head: Offset) {
    self.name = name
    self.epoch = epoch
    self.floor = floor
    self.head = head
  }
}

/// An event with its place in the whole store, as it is announced to the hub.
public struct Announcement: Sendable, Hashable {
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
public struct AnnouncementPage: Sendable, Hashable {
  public var announcements: [Announcement]
  /// Positions whose event failed its checksum and is not announced; readers get `corrupt`.
  public var corruptCount: Int
  /// The position this page reaches; ask for what follows it next.
  public var through: Int64
  public var hasMore: Bool
}

/// Why a read gave nothing.
public enum ReadFailure: Error, Sendable, Hashable {
  /// The stored event does not match its checksum or can't be found; it is never served.
  case corrupt(stream: ChannelName, offset: Offset)
  /// The disk refused; another try may work.
  case unavailable(String)
}
