internal import Bytes
internal import Wire

/// A link's number at the hub.
typealias LinkNumber = Int

/// Which link wants which channel, and the numbers that stand for channels. Pure.
///
/// A number is used by one channel at a time, on all links alike, so that a publication is encoded
/// once. It is free again when no link has it open; its generation then grows, and a frame with
/// the old one finds nothing.
struct RoutingTable {
  /// A class, so that looking one up copies a reference and not its lists.
  final class Channel {
    let name: ChannelName
    let generation: UInt32
    var policy = HistoryPolicy(count: 0, ageMs: 0)
    var isDurable = false
    /// Links that get the publications, in the order they subscribed.
    var subscribers: [LinkNumber] = []
    /// Links that get the counts.
    var counters: [LinkNumber] = []
    var members: [LinkNumber: Member] = [:]
    /// The last offset passed on of a durable channel, so that an announcement made twice is
    /// delivered once.
    var announced: Position?

    init(_ name: ChannelName, generation: UInt32) {
      self.name = name
      self.generation = generation
    }

    var subscriberTotal: UInt32 {
      members.values.reduce(0) { $0 &+ $1.clients }
    }
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

  /// Names that one link may have open.
  private let namesMax: Int

  init(namesMax: Int = Limits.openChannelsMax) { self.namesMax = namesMax }

  var channelCount: Int { numbers.count }

  /// Opens a channel for a link, or changes what the link wants of it. Nil when the link has
  /// opened its limit of names.
  mutating func open(_ request: OpenChannel, by link: LinkNumber) -> ChannelHandle? {
    let known = numbers[request.name]
    let isNewHere = known.map { channels[Int($0)]?.members[link] == nil } ?? true
    if isNewHere {
      guard openCount[link, default: 0] < namesMax else { return nil }
      openCount[link, default: 0] += 1
    }
    let number = known ?? takeNumber(for: request.name)
    let index = Int(number)
    channels[index]?.members[link] = Member(flags: request.flags, clients: request.subscribers)
    channels[index]?.isDurable = request.isDurable
    channels[index]?.policy = HistoryPolicy(
      count: Int(request.historyCount), ageMs: Int64(request.historyMs))
    set(link, in: \.subscribers, index, request.flags.contains(.subscribe))
    set(link, in: \.counters, index, request.flags.contains(.count))
    return ChannelHandle(number: number, generation: generations[index])
  }

  /// Ends a link's use of a channel. A stale handle changes nothing.
  mutating func close(_ handle: ChannelHandle, by link: LinkNumber) {
    guard let index = index(handle), channels[index]?.members[link] != nil else { return }
    remove(link, from: index)
  }

  /// Ends all use by a link that is gone; gives the channels whose count changed.
  mutating func remove(_ link: LinkNumber) -> [ChannelHandle] {
    var touched: [ChannelHandle] = []
    for index in channels.indices where channels[index]?.members[link] != nil {
      touched.append(ChannelHandle(number: UInt32(index), generation: generations[index]))
      remove(link, from: index)
    }
    openCount[link] = nil
    return touched
  }

  mutating func setClients(_ clients: UInt32, of handle: ChannelHandle, at link: LinkNumber) {
    guard let index = index(handle) else { return }
    channels[index]?.members[link]?.clients = clients
  }

  /// The index of a live handle; nil for a stale or unknown one.
  func index(_ handle: ChannelHandle) -> Int? {
    let index = Int(handle.number)
    guard index > 0, index < channels.count, generations[index] == handle.generation,
      channels[index] != nil
    else { return nil }
    return index
  }

  func handle(_ name: ChannelName) -> ChannelHandle? {
    numbers[name].map { ChannelHandle(number: $0, generation: generations[Int($0)]) }
  }

  subscript(index: Int) -> Channel? { channels[index] }

  /// Notes that a durable publication is passed on. False if it was before.
  mutating func announce(_ position: Position, at index: Int) -> Bool {
    if let last = channels[index]?.announced, last.epoch == position.epoch,
      position.offset <= last.offset
    {
      return false
    }
    channels[index]?.announced = position
    return true
  }

  /// Channels that clients subscribe to, by prefix, in the order of their names.
  func counts(prefix: String, after: String, limit: Int) -> (total: Int, page: [(ChannelName, UInt32)], more: Bool) {
    var matching: [(ChannelName, UInt32)] = []
    for channel in channels {
      guard let channel, channel.name.text.hasPrefix(prefix) else { continue }
      let total = channel.subscriberTotal
      if total > 0 { matching.append((channel.name, total)) }
    }
    let rest = matching.filter { $0.0.text > after }.sorted { $0.0.text < $1.0.text }
    return (matching.count, Array(rest.prefix(limit)), rest.count > limit)
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

  private mutating func remove(_ link: LinkNumber, from index: Int) {
    set(link, in: \.subscribers, index, false)
    set(link, in: \.counters, index, false)
    channels[index]?.members[link] = nil
    openCount[link, default: 1] -= 1
    guard let channel = channels[index], channel.members.isEmpty else { return }
    numbers[channel.name] = nil
    channels[index] = nil
    generations[index] &+= 1
    free.append(UInt32(index))
  }
}
