public import Bytes

/// Takes or renews a gateway process's lease. Every link of the process may renew it.
/// 
/// Answered by *leased*, or by *failure* `fenced` when a newer incarnation holds it.
public struct Lease: WireMessage {
  public static let kind = Kind.lease
  public static let layout = "remainingMs:u32 gateway:u64 incarnation:u64 durationMs:u32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  /// The gateway process's instance.
  public var gateway: UInt64
  /// The fencing token.
  public var incarnation: UInt64
  public var durationMs: UInt32
  public init(remainingMs: UInt32, gateway: UInt64, incarnation: UInt64, durationMs: UInt32) {
    self.remainingMs = remainingMs
    self.gateway = gateway
    self.incarnation = incarnation
    self.durationMs = durationMs
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u64(gateway)
    w.u64(incarnation)
    w.u32(durationMs)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    gateway = try c.u64(s)
    incarnation = try c.u64(s)
    durationMs = try c.u32(s)
  }
}

/// The lease stands.
public struct Leased: WireMessage {
  public static let kind = Kind.leased
  public static let layout = "durationMs:u32 isRebuilding:u8"
  public var durationMs: UInt32
  /// Presence has just started: gateways are to report all their members again.
  public var isRebuilding: Bool
  public init(durationMs: UInt32, isRebuilding: Bool) {
    self.durationMs = durationMs
    self.isRebuilding = isRebuilding
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(durationMs)
    w.u8(isRebuilding ? 1 : 0)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    durationMs = try c.u32(s)
    isRebuilding = try c.u8(s) == 1
  }
}

/// A client is in a channel.
public struct MemberJoin: Equatable, Sendable {
  static let layout = "channel:text16 client:text16 user:text16 session:text16 info:bytes32"
  public var channel: ChannelName
  /// Unique among all gateways; public.
  public var client: String
  /// Empty for an anonymous client.
  public var user: String
  /// The secret by which a client that comes back is known; never shown to others.
  public var session: String
  /// JSON, at most 4 KiB; empty for none.
  public var info: [UInt8]
  public init(channel: ChannelName, client: String, user: String, session: String, info: [UInt8]) {
    self.channel = channel
    self.client = client
    self.user = user
    self.session = session
    self.info = info
  }
  func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
    w.text16(client)
    w.text16(user)
    w.text16(session)
    w.bytes32(info)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
    client = try c.text16(s)
    user = try c.text16(s)
    session = try c.text16(s)
    info = try c.bytes32(s)
  }
}

/// A client has left a channel.
public struct MemberLeave: Equatable, Sendable {
  static let layout = "channel:text16 client:text16 isClean:u8"
  public var channel: ChannelName
  public var client: String
  /// It said goodbye: no grace for its return.
  public var isClean: Bool
  public init(channel: ChannelName, client: String, isClean: Bool) {
    self.channel = channel
    self.client = client
    self.isClean = isClean
  }
  func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
    w.text16(client)
    w.u8(isClean ? 1 : 0)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
    client = try c.text16(s)
    isClean = try c.u8(s) == 1
  }
}

/// What changed at a gateway's loop in one turn, in order: leaves before joins of the same client
/// never cross. Not answered; a fenced gateway gets *goodbye*.
public struct PresenceBatch: WireMessage {
  public static let kind = Kind.presenceBatch
  public static let layout =
    "gateway:u64 incarnation:u64 isComplete:u8 joins:[\(MemberJoin.layout)]u16 leaves:[\(MemberLeave.layout)]u16"
  public var gateway: UInt64
  public var incarnation: UInt64
  /// The joins are all members of this link: what it reported before is replaced.
  public var isComplete: Bool
  public var joins: [MemberJoin]
  public var leaves: [MemberLeave]
  public init(
    gateway: UInt64, incarnation: UInt64, isComplete: Bool, joins: [MemberJoin], leaves: [MemberLeave]
  ) {
    self.gateway = gateway
    self.incarnation = incarnation
    self.isComplete = isComplete
    self.joins = joins
    self.leaves = leaves
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(gateway)
    w.u64(incarnation)
    w.u8(isComplete ? 1 : 0)
    w.list(joins) { element, w in element.encode(into: &w) }
    w.list(leaves) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    gateway = try c.u64(s)
    incarnation = try c.u64(s)
    isComplete = try c.u8(s) == 1
    let joinsCount = Int(try c.u16(s))
    joins = []
    for _ in 0..<joinsCount { joins.append(try MemberJoin(&c, s)) }
    let leavesCount = Int(try c.u16(s))
    leaves = []
    for _ in 0..<leavesCount { leaves.append(try MemberLeave(&c, s)) }
  }
}

/// Asks for a channel's members now, in pages, and its changes from then on.
public struct WatchPresence: WireMessage {
  public static let kind = Kind.watchPresence
  public static let layout = "remainingMs:u32 channel:text16"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var channel: ChannelName
  public init(remainingMs: UInt32, channel: ChannelName) {
    self.remainingMs = remainingMs
    self.channel = channel
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(channel.text)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
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

/// Who is in a channel, as everyone may see it.
public struct Member: Equatable, Sendable {
  static let layout = "client:text16 user:text16 info:bytes32"
  public var client: String
  public var user: String
  public var info: [UInt8]
  public init(client: String, user: String, info: [UInt8]) {
    self.client = client
    self.user = user
    self.info = info
  }
  func encode(into w: inout ByteWriter) {
    w.text16(client)
    w.text16(user)
    w.bytes32(info)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    client = try c.text16(s)
    user = try c.text16(s)
    info = try c.bytes32(s)
  }
}

/// A page of a channel's members. The last one has `hasMore` false; changes follow from
/// `version` on.
public struct PresencePage: WireMessage {
  public static let kind = Kind.presencePage
  public static let layout =
    "channel:text16 version:u64 isRebuilding:u8 hasMore:u8 total:u32 users:u32 members:[\(Member.layout)]u16"
  public var channel: ChannelName
  public var version: UInt64
  /// Members may be missing: gateways are still reporting.
  public var isRebuilding: Bool
  public var hasMore: Bool
  /// Members in all.
  public var total: UInt32
  /// Different users in all.
  public var users: UInt32
  public var members: [Member]
  public init(
    channel: ChannelName, version: UInt64, isRebuilding: Bool, hasMore: Bool, total: UInt32, users: UInt32, members: [Member]
  ) {
    self.channel = channel
    self.version = version
    self.isRebuilding = isRebuilding
    self.hasMore = hasMore
    self.total = total
    self.users = users
    self.members = members
  }
  public func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
    w.u64(version)
    w.u8(isRebuilding ? 1 : 0)
    w.u8(hasMore ? 1 : 0)
    w.u32(total)
    w.u32(users)
    w.list(members) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
    version = try c.u64(s)
    isRebuilding = try c.u8(s) == 1
    hasMore = try c.u8(s) == 1
    total = try c.u32(s)
    users = try c.u32(s)
    let membersCount = Int(try c.u16(s))
    members = []
    for _ in 0..<membersCount { members.append(try Member(&c, s)) }
  }
}

/// How one channel's members changed, from version `version - 1` to `version`.
public struct ChannelChange: Equatable, Sendable {
  static let layout =
    "channel:text16 version:u64 joins:[\(Member.layout)]u16 leaves:[\(Member.layout)]u16"
  public var channel: ChannelName
  public var version: UInt64
  public var joins: [Member]
  public var leaves: [Member]
  public init(channel: ChannelName, version: UInt64, joins: [Member], leaves: [Member]) {
    self.channel = channel
    self.version = version
    self.joins = joins
    self.leaves = leaves
  }
  func encode(into w: inout ByteWriter) {
    w.text16(channel.text)
    w.u64(version)
    w.list(joins) { element, w in element.encode(into: &w) }
    w.list(leaves) { element, w in element.encode(into: &w) }
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    channel = try c.channelName(s)
    version = try c.u64(s)
    let joinsCount = Int(try c.u16(s))
    joins = []
    for _ in 0..<joinsCount { joins.append(try Member(&c, s)) }
    let leavesCount = Int(try c.u16(s))
    leaves = []
    for _ in 0..<leavesCount { leaves.append(try Member(&c, s)) }
  }
}

/// The changes of one turn in channels that this link watches.
public struct PresenceChanges: WireMessage {
  public static let kind = Kind.presenceChanges
  public static let layout = "changes:[\(ChannelChange.layout)]u16"
  public var changes: [ChannelChange]
  public init(changes: [ChannelChange]) {
    self.changes = changes
  }
  public func encode(into w: inout ByteWriter) {
    w.list(changes) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    let changesCount = Int(try c.u16(s))
    changes = []
    for _ in 0..<changesCount { changes.append(try ChannelChange(&c, s)) }
  }
}

/// Asks for one page of a channel's members, without watching.
public struct ReadPresence: WireMessage {
  public static let kind = Kind.readPresence
  public static let layout = "remainingMs:u32 channel:text16 after:text16 limit:u32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var channel: ChannelName
  /// Clients greater than this one; empty for the first page.
  public var after: String
  /// 0 for the totals alone.
  public var limit: UInt32
  public init(remainingMs: UInt32, channel: ChannelName, after: String, limit: UInt32) {
    self.remainingMs = remainingMs
    self.channel = channel
    self.after = after
    self.limit = limit
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(channel.text)
    w.text16(after)
    w.u32(limit)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    channel = try c.channelName(s)
    after = try c.text16(s)
    limit = try c.u32(s)
  }
}
