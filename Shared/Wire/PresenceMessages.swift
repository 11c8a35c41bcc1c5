public import Bytes

/// Attaches a link for one loop of a gateway process, and renews the lease of the whole process.
///
/// The first frame of a gateway on the link, and again at least every third of the lease. Who the
/// process is, and its fencing token, are those of its *hello*. Answered by *leased*; a link whose
/// loop has a newer one, or whose process has, is closed with `fenced`.
public struct Lease: WireMessage {
  public static let kind = Kind.lease
  public static let layout = "remainingMs:u32 lane:u16 hasBeenAttached:u8"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  /// The loop's number within its process.
  public var lane: UInt16
  /// The loop has had a link to presence before, and may have shown members to its clients.
  public var hasBeenAttached: Bool
  public init(remainingMs: UInt32, lane: UInt16, hasBeenAttached: Bool) {
    self.remainingMs = remainingMs
    self.lane = lane
    self.hasBeenAttached = hasBeenAttached
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u16(lane)
    w.bool(hasBeenAttached)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    lane = try c.u16(s)
    hasBeenAttached = try c.bool(s)
  }
}

/// The lease stands for `durationMs` from now.
public struct Leased: WireMessage {
  public static let kind = Kind.leased
  public static let layout = "durationMs:u32"
  public var durationMs: UInt32
  public init(durationMs: UInt32) {
    self.durationMs = durationMs
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(durationMs)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    durationMs = try c.u32(s)
  }
}

/// One connection came into a channel or went out of it.
public struct MemberEvent: Equatable, Sendable {
  static let layout =
    "what:u8 channel:text16 client:u64 user:text16 session:text16 info:bytes32"

  public enum What: UInt8, Sendable {
    case joined = 1
    /// Said goodbye: shown at once.
    case left = 2
    /// Broke off and may come back: shown after the grace.
    case lost = 3
  }

  public var what: What
  public var channel: ChannelName
  /// The connection's number, unique among all gateways.
  public var client: UInt64
  /// Who the client has proved to be; empty for an anonymous one and for a leave.
  public var user: String
  /// The public name of the session that the client may resume, at most 255 bytes: a digest of its
  /// secret token. Empty for none and for a leave.
  public var session: String
  /// What others are shown of the client, JSON; empty for none and for a leave.
  public var info: [UInt8]
  public init(
    _ what: What, _ channel: ChannelName, client: UInt64, user: String = "", session: String = "",
    info: [UInt8] = []
  ) {
    self.what = what
    self.channel = channel
    self.client = client
    self.user = user
    self.session = session
    self.info = info
  }
  func encode(into w: inout ByteWriter) {
    let room = 19 + Field.room(channel.text) + Field.room(user) + Field.room(session)
    w.bytes.append(addingCapacity: room) { output in
      output.u8(what.rawValue)
      output.text16(channel.text)
      output.u64(client)
      output.text16(user)
      output.text16(session)
      output.u32(UInt32(truncatingIfNeeded: info.count))
    }
    if !info.isEmpty { w.raw(info) }
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    guard let what = What(rawValue: try c.u8(s)) else { throw .invalidValue }
    self.what = what
    channel = try c.channelName(s)
    client = try c.u64(s)
    user = try c.text16(s)
    session = try c.text16(s)
    info = try c.bytes32(s)
  }
}

/// What a gateway's loop saw in one turn, in its order. Not answered.
///
/// The first batch on a link opens a report of all the loop's connections; *requestReport* asks for
/// another. Batches that follow a lost one are ignored until the next report.
public struct PresenceBatch: WireMessage {
  public static let kind = Kind.presenceBatch
  public static let layout = "sequence:u64 part:u8 events:[\(MemberEvent.layout)]u16"

  public enum Part: UInt8, Sendable {
    /// What happened since the last batch; inside a report, more of it.
    case next = 0
    case opensReport = 1
    /// What the report has not named is gone.
    case closesReport = 2
    case wholeReport = 3
  }

  /// Counts the link's batches from 1.
  public var sequence: UInt64
  public var part: Part
  public var events: [MemberEvent]
  public init(sequence: UInt64, part: Part, events: [MemberEvent]) {
    self.sequence = sequence
    self.part = part
    self.events = events
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(sequence)
    w.u8(part.rawValue)
    w.list(events) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    sequence = try c.u64(s)
    guard let part = Part(rawValue: try c.u8(s)) else { throw .invalidValue }
    self.part = part
    let eventsCount = Int(try c.u16(s))
    events = []
    for _ in 0..<eventsCount { events.append(try MemberEvent(&c, s)) }
  }
}

/// Asks a gateway's loop to report all its connections: batches are missing, or its lease had ended.
public struct RequestReport: WireMessage {
  public static let kind = Kind.requestReport
  public static let layout = "remainingMs:u32"
  /// What the report has not named after so many milliseconds is taken for gone.
  public var remainingMs: UInt32
  public init(remainingMs: UInt32) {
    self.remainingMs = remainingMs
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
  }
}

/// A connection is not counted as present, or a channel can't be watched.
public struct PresenceRefused: WireMessage {
  public static let kind = Kind.presenceRefused
  public static let layout = "channel:text16 client:u64 code:u16 message:text16"
  public var channel: ChannelName
  /// The connection whose join was refused; 0 for a watch.
  public var client: UInt64
  public var code: ErrorCode
  public var message: String
  public init(channel: ChannelName, client: UInt64, code: ErrorCode, message: String) {
    self.channel = channel
    self.client = client
    self.code = code
    self.message = message
  }
  public func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
    w.u64(client)
    w.u16(code.rawValue)
    w.text16(message)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
    client = try c.u64(s)
    code = ErrorCode(rawValue: try c.u16(s))
    message = try c.text16(s)
  }
}

/// Asks for a channel's members, in pages, and its changes from then on. Asking again starts over.
public struct WatchPresence: WireMessage {
  public static let kind = Kind.watchPresence
  public static let layout = "channel:text16"
  public var channel: ChannelName
  public init(channel: ChannelName) {
    self.channel = channel
  }
  public func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
  }
}

/// No more changes of this channel.
public struct UnwatchPresence: WireMessage {
  public static let kind = Kind.unwatchPresence
  public static let layout = "channel:text16"
  public var channel: ChannelName
  public init(channel: ChannelName) {
    self.channel = channel
  }
  public func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
  }
}

/// What makes connections one member: their user, else their session, else the connection itself.
public enum MemberKey: Hashable, Sendable {
  case client(UInt64)
  case user(String)
  /// The public name of the session; not for clients' eyes.
  case session(String)

  public static func == (a: MemberKey, b: MemberKey) -> Bool {
    switch (a, b) {
    case (.client(let a), .client(let b)): a == b
    case (.user(let a), .user(let b)), (.session(let a), .session(let b)): haveSameBytes(a, b)
    default: false
    }
  }
}

/// Who is in a channel.
public struct Member: Equatable, Sendable {
  static let layout = "by:u8 name:text16 client:u64 info:bytes32"
  public var key: MemberKey
  /// The connection that the member came with first; the key's own where that is a connection.
  public var client: UInt64
  /// JSON; empty for none.
  public var info: [UInt8]
  public init(key: MemberKey, client: UInt64, info: [UInt8] = []) {
    self.key = key
    self.client = client
    self.info = info
  }
  func encode(into w: inout ByteWriter) {
    switch key {
    case .client:
      w.u8(0)
      w.text16("")
    case .user(let name):
      w.u8(1)
      w.text16(name)
    case .session(let name):
      w.u8(2)
      w.text16(name)
    }
    w.u64(client)
    w.bytes32(info)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    let by = try c.u8(s)
    let name = try c.text16(s)
    client = try c.u64(s)
    info = try c.bytes32(s)
    switch by {
    case 0: key = .client(client)
    case 1: key = .user(name)
    case 2: key = .session(name)
    default: throw .invalidValue
    }
  }
}

/// Part of a channel's members as of `version`, on a link that watches it.
///
/// Changes between two pages of a snapshot are sent between them: whoever applies pages and changes
/// in order of arrival is right after the last page, and after every change that follows.
public struct PresencePage: WireMessage {
  public static let kind = Kind.presencePage
  public static let layout =
    "channel:text16 version:u64 isFirst:u8 isLast:u8 isRebuilding:u8 members:[\(Member.layout)]u16"
  public var channel: ChannelName
  public var version: UInt64
  public var isFirst: Bool
  public var isLast: Bool
  /// Gateways are still reporting: who is not in the snapshot may be there. Another follows.
  public var isRebuilding: Bool
  public var members: [Member]
  public init(
    channel: ChannelName, version: UInt64, isFirst: Bool, isLast: Bool, isRebuilding: Bool,
    members: [Member]
  ) {
    self.channel = channel
    self.version = version
    self.isFirst = isFirst
    self.isLast = isLast
    self.isRebuilding = isRebuilding
    self.members = members
  }
  public func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
    w.u64(version)
    w.bool(isFirst)
    w.bool(isLast)
    w.bool(isRebuilding)
    w.list(members) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
    version = try c.u64(s)
    isFirst = try c.bool(s)
    isLast = try c.bool(s)
    isRebuilding = try c.bool(s)
    let membersCount = Int(try c.u16(s))
    members = []
    for _ in 0..<membersCount { members.append(try Member(&c, s)) }
  }
}

/// One step in a channel's membership. Applying it twice is applying it once.
public struct MemberChange: Equatable, Sendable {
  static let layout = "what:u8 \(Member.layout)"

  public enum What: UInt8, Sendable {
    case joined = 1
    case left = 2
    /// Stays, and says something else about itself.
    case updated = 3
  }

  public var what: What
  /// Of one that left only the key counts.
  public var member: Member
  public init(_ what: What, _ member: Member) {
    self.what = what
    self.member = member
  }
  func encode(into w: inout ByteWriter) {
    w.u8(what.rawValue)
    member.encode(into: &w)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    guard let what = What(rawValue: try c.u8(s)) else { throw .invalidValue }
    self.what = what
    member = try Member(&c, s)
  }
}

/// Changes `after + 1`, `after + 2` … of a channel that this link watches; never none.
public struct PresenceChanges: WireMessage {
  public static let kind = Kind.presenceChanges
  public static let layout =
    "channel:text16 after:u64 changes:[\(MemberChange.layout)]u16"
  public var channel: ChannelName
  public var after: UInt64
  public var changes: [MemberChange]
  public init(channel: ChannelName, after: UInt64, changes: [MemberChange]) {
    self.channel = channel
    self.after = after
    self.changes = changes
  }
  public func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
    w.u64(after)
    w.list(changes) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
    after = try c.u64(s)
    let changesCount = Int(try c.u16(s))
    changes = []
    for _ in 0..<changesCount { changes.append(try MemberChange(&c, s)) }
  }
}

/// Asks for some of a channel's members, without watching. Answered by *presenceList*.
public struct ReadPresence: WireMessage {
  public static let kind = Kind.readPresence
  public static let layout = "remainingMs:u32 channel:text16 from:u64 count:u32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var channel: ChannelName
  /// 0, or `next` of the answer before.
  public var from: UInt64
  /// The most members wanted; 0 for the totals alone.
  public var count: UInt32
  public init(remainingMs: UInt32, channel: ChannelName, from: UInt64 = 0, count: UInt32) {
    self.remainingMs = remainingMs
    self.channel = channel
    self.from = from
    self.count = count
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(channel.text)
    w.u64(from)
    w.u32(count)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    channel = try c.channelName(s)
    from = try c.u64(s)
    count = try c.u32(s)
  }
}

/// Some of a channel's members. Who comes or goes between two answers may be missed or met.
public struct PresenceList: WireMessage {
  public static let kind = Kind.presenceList
  public static let layout =
    "connections:u32 total:u32 next:u64 members:[\(Member.layout)]u16"
  /// Connections in the channel, those that may still resume included.
  public var connections: UInt32
  /// Members in the channel: different users, sessions and connections.
  public var total: UInt32
  /// Where to go on reading; 0 when there are no more. An answer that names nobody may have more.
  public var next: UInt64
  public var members: [Member]
  public init(connections: UInt32, total: UInt32, next: UInt64, members: [Member]) {
    self.connections = connections
    self.total = total
    self.next = next
    self.members = members
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(connections)
    w.u32(total)
    w.u64(next)
    w.list(members) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    connections = try c.u32(s)
    total = try c.u32(s)
    next = try c.u64(s)
    let membersCount = Int(try c.u16(s))
    members = []
    for _ in 0..<membersCount { members.append(try Member(&c, s)) }
  }
}
