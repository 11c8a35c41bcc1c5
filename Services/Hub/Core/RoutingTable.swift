package import Bytes
package import Wire

/// A link's number at the hub.
package typealias LinkNumber = Int

/// Which link wants which channel, and the numbers that stand for channels. Pure.
///
/// A number is used by one channel at a time, on all links alike, so that a publication is encoded
/// once. It is free again when no link has it open; its generation then grows, and a frame with
/// the old one finds nothing.
package struct RoutingTable {
  /// A class, so that looking one up copies a reference and not its lists.
  package final class Channel {
    package let name: ChannelName
    package let generation: UInt32
    var policy = HistoryPolicy(count: 0, ageMs: 0)
    var isDurable = false
    /// Links that get the publications, in the order they subscribed.
    package var subscribers: [LinkNumber] = []
    /// Links that get the counts.
    var counters: [LinkNumber] = []
    fileprivate(set) var members: [LinkNumber: Member] = [:]
    /// INVARIANT: the sum of the members' clients. Wider than theirs, so that no sum of what
    /// links may claim overflows.
    fileprivate var clients: UInt64 = 0
    /// The last offset passed on of a durable channel, so that an announcement made twice is
    /// delivered once.
    var announced: Position?

    init(_ name: ChannelName, generation: UInt32) {
      self.name = name
      self.generation = generation
    }

    var subscriberTotal: UInt32 { UInt32(clamping: clients) }
  }

  struct Member {
    var flags: OpenFlags
    var clients: UInt32
  }

  private var numbers: [ChannelName: UInt32] = [:]
  /// Index 0 stands for no channel.
  private var channels: [Channel?] = [nil]
  private var generations: [UInt32] = [0]
  private var free: [UInt32] = []
  private var openCount: [LinkNumber: Int] = [:]
  /// Channels that clients subscribe to, so that their number costs no walk.
  private(set) var subscribedCount = 0

  /// Names that one link may have open.
  var namesMax: Int

  package init(namesMax: Int = Limits.openChannelsMax) { self.namesMax = namesMax }

  var channelCount: Int { numbers.count }

  /// Opens a channel for a link, or changes what the link wants of it. Nil when the link has
  /// opened its limit of names.
  package mutating func open(_ request: OpenChannel, by link: LinkNumber) -> ChannelHandle? {
    let known = numbers[request.name]
    let isNewHere = known.map { channels[Int($0)]?.members[link] == nil } ?? true
    if isNewHere {
      guard openCount[link, default: 0] < namesMax else { return nil }
      openCount[link, default: 0] += 1
    }
    let number = known ?? takeNumber(for: request.name)
    let index = Int(number)
    setMember(Member(flags: request.flags, clients: request.subscribers), link, index)
    channels[index]?.isDurable = request.isDurable
    channels[index]?.policy = HistoryPolicy(
      count: Int(request.historyCount), ageMs: Int64(request.historyMs))
    set(link, in: \.subscribers, index, request.flags.contains(.subscribe))
    set(link, in: \.counters, index, request.flags.contains(.count))
    return ChannelHandle(number: number, generation: generations[index])
  }

  /// Ends a link's use of a channel. A stale handle changes nothing. Gives the channel's name if
  /// no link has it open any more.
  @discardableResult
  package mutating func close(_ handle: ChannelHandle, by link: LinkNumber) -> ChannelName? {
    guard let index = index(handle), channels[index]?.members[link] != nil else { return nil }
    return remove(link, from: index)
  }

  /// Ends all use by a link that is gone. One walk through all channels.
  ///
  /// - Returns: the channels it had open that others have open still, and the names of those that
  ///   nobody has.
  package mutating func remove(_ link: LinkNumber) -> (left: [ChannelHandle], freed: [ChannelName]) {
    var left: [ChannelHandle] = []
    var freed: [ChannelName] = []
    for index in channels.indices where channels[index]?.members[link] != nil {
      if let name = remove(link, from: index) {
        freed.append(name)
      } else {
        left.append(ChannelHandle(number: UInt32(index), generation: generations[index]))
      }
    }
    openCount[link] = nil
    return (left, freed)
  }

  mutating func setClients(_ clients: UInt32, of handle: ChannelHandle, at link: LinkNumber) {
    guard let index = index(handle), var member = channels[index]?.members[link] else { return }
    member.clients = clients
    setMember(member, link, index)
  }

  /// The index of a live handle; nil for a stale or unknown one.
  package func index(_ handle: ChannelHandle) -> Int? {
    let index = Int(handle.number)
    guard index > 0, index < channels.count, generations[index] == handle.generation,
      channels[index] != nil
    else { return nil }
    return index
  }

  package func handle(_ name: ChannelName) -> ChannelHandle? {
    numbers[name].map { ChannelHandle(number: $0, generation: generations[Int($0)]) }
  }

  package subscript(index: Int) -> Channel? { channels[index] }

  /// Notes that a durable publication is passed on. False if it was before.
  package mutating func announce(_ position: Position, at index: Int) -> Bool {
    if let last = channels[index]?.announced, last.epoch == position.epoch,
      position.offset <= last.offset
    {
      return false
    }
    channels[index]?.announced = position
    return true
  }

  struct Counts {
    /// Channels that match in all.
    var total = 0
    var page: [(name: ChannelName, subscribers: UInt32)] = []
    var hasMore = false
  }

  /// Channels that clients subscribe to, by prefix, in the order of their names. A walk through
  /// all channels, but for the total of all.
  func counts(prefix: String, after: String, limit: Int) -> Counts {
    if limit == 0, prefix.isEmpty { return Counts(total: subscribedCount) }
    var counts = Counts()
    for channel in channels {
      guard let channel, channel.clients > 0, prefix.isEmpty || channel.name.text.hasPrefix(prefix)
      else { continue }
      counts.total += 1
      if limit > 0, channel.name.text > after {
        counts.page.append((channel.name, channel.subscriberTotal))
      }
    }
    counts.page.sort { $0.name.text < $1.name.text }
    counts.hasMore = counts.page.count > limit
    counts.page.removeLast(max(0, counts.page.count - limit))
    return counts
  }

  /// One channel by its whole name: found at once, empty if no client subscribes.
  func count(of name: ChannelName) -> Counts {
    guard let number = numbers[name], let channel = channels[Int(number)], channel.clients > 0
    else { return Counts() }
    return Counts(total: 1, page: [(name, channel.subscriberTotal)])
  }

  // MARK: -

  private mutating func takeNumber(for name: ChannelName) -> UInt32 {
    let number: UInt32
    if let reused = free.popLast() {
      number = reused
    } else {
      number = UInt32(channels.count)
      channels.append(nil)
      generations.append(1)
    }
    channels[Int(number)] = Channel(name, generation: generations[Int(number)])
    numbers[name] = number
    return number
  }

  private mutating func set(
    _ link: LinkNumber, in list: ReferenceWritableKeyPath<Channel, [LinkNumber]>, _ index: Int,
    _ isWanted: Bool
  ) {
    guard let channel = channels[index] else { return }
    let position = channel[keyPath: list].firstIndex(of: link)
    if isWanted, position == nil { channel[keyPath: list].append(link) }
    if !isWanted, let position { channel[keyPath: list].remove(at: position) }
  }

  /// The one place that changes members, so that the sums hold.
  private mutating func setMember(_ member: Member?, _ link: LinkNumber, _ index: Int) {
    guard let channel = channels[index] else { return }
    let wasSubscribed = channel.clients > 0
    channel.clients -= UInt64(channel.members[link]?.clients ?? 0)
    channel.clients += UInt64(member?.clients ?? 0)
    channel.members[link] = member
    subscribedCount += (channel.clients > 0 ? 1 : 0) - (wasSubscribed ? 1 : 0)
  }

  /// Gives the channel's name if this was its last link.
  private mutating func remove(_ link: LinkNumber, from index: Int) -> ChannelName? {
    set(link, in: \.subscribers, index, false)
    set(link, in: \.counters, index, false)
    setMember(nil, link, index)
    openCount[link, default: 1] -= 1
    guard let channel = channels[index], channel.members.isEmpty else { return nil }
    numbers[channel.name] = nil
    channels[index] = nil
    generations[index] &+= 1
    free.append(UInt32(index))
    return channel.name
  }
}
