internal import Bytes

/// Where the client of one event stream stands in its channels, and the id that says so. Pure.
///
/// An id stands for all channels, since a browser brings back the last one alone; so each event has
/// one, and it has to be short. It names no channel and no epoch, but says enough of both that whoever
/// brings it back, to whatever gateway, goes on exactly from there:
///
///     ~ NNNNEEEEEEEEOOOO NNNNEEEEEEEEOOOO …      base64url, in groups of 24 bits
///
/// N: the lower bits of CRC-32C of the channel's name. E: `EpochTag`. O: the offset in one, two or three
/// groups behind 00, 01 or 10 in the first two bits; 11 stands before 0 for `empty` and 1 for `start`,
/// without an epoch. Channels that have no place in a history are left out.
///
/// One group more is written over at an event as a rule, however many channels there are. The ids of a
/// stream of one channel, which all its clients share, are `PositionVector`s, and so are those of
/// channels whose names' bits are the same.
struct StreamPlaces {
  typealias Place = Subscription.Since

  private struct Channel {
    let name: ChannelName
    var place: Place
    /// What `place` says, where that is a position: kept here, so that the next one costs no memory.
    var position: Position?
    /// Where its offset stands in the id.
    var offsetStart = 0
  }

  private var channels: [Channel]
  private var isShort: Bool
  /// The id, where it is a short one.
  private var text: [UInt8] = []
  private var latest = 0

  static let mark = UInt8(ascii: "~")

  /// - Parameter places: each channel once.
  init(_ places: [(ChannelName, Place)]) {
    channels = places.map { Channel(name: $0.0, place: $0.1) }
    isShort = Self.canBeShort(places.map(\.0))
    if isShort { write() }
  }

  private static func canBeShort(_ names: [ChannelName]) -> Bool {
    names.count > 1 && Set(names.map(Self.tag)).count == names.count
  }

  /// The most that the id of a stream of these channels may be.
  static func bytesMax(_ names: [ChannelName]) -> Int {
    canBeShort(names) ? 1 + names.count * 24 : PositionVector.bytesMax(names)
  }

  /// Empty where no channel has a place.
  var id: [UInt8] {
    guard isShort else { return [UInt8](byNames.utf8) }
    return text.count > 1 ? text : []
  }

  /// Nil where no channel has a place.
  var idText: String? {
    let id = id
    return id.isEmpty ? nil : String(decoding: id, as: UTF8.self)
  }

  /// The same as a vector that names the channels.
  var byNames: String { PositionVector.encode(channels.indices.map { (channels[$0].name, place($0)) }) }

  private func place(_ index: Int) -> Place {
    channels[index].position.map { .position($0) } ?? channels[index].place
  }

  // MARK: going on

  /// The client has what comes up to there; nothing happens for a channel that is not of the stream.
  mutating func stand(at position: Position, in name: ChannelName) {
    guard let index = find(name) else { return }
    let old = channels[index].position
    channels[index].position = position
    guard isShort else { return }
    let (start, value) = (channels[index].offsetStart, position.offset.value)
    guard let old, old.epoch == position.epoch, value < Self.oneGroup, old.offset.value < Self.oneGroup
    else { return write() }
    Base64Group.put(UInt32(value), at: start, in: &text)
  }

  mutating func stand(at place: Place, in name: ChannelName) {
    if case .position(let position) = place { return stand(at: position, in: name) }
    guard let index = find(name) else { return }
    channels[index].place = place
    channels[index].position = nil
    if isShort { write() }
  }

  /// Events of one channel come in a row.
  private mutating func find(_ name: ChannelName) -> Int? {
    if latest < channels.count, channels[latest].name == name { return latest }
    guard let index = channels.firstIndex(where: { $0.name == name }) else { return nil }
    latest = index
    return index
  }

  // MARK: writing

  private static let oneGroup: UInt64 = 1 << 22
  private static let twoGroups: UInt64 = 1 << 46
  private static let special: UInt32 = 3 << 22

  private static func tag(_ name: ChannelName) -> UInt32 { crc32c([UInt8](name.text.utf8)) & 0xFF_FFFF }

  private mutating func write() {
    text.removeAll(keepingCapacity: true)
    text.append(Self.mark)
    for index in channels.indices {
      channels[index].offsetStart = text.count + 12
      append(place(index), of: channels[index].name)
    }
  }

  private mutating func append(_ place: Place, of name: ChannelName) {
    let tag: EpochTag
    var offset: UInt64 = 0
    switch place {
    case .now: return
    case .start, .empty: tag = EpochTag(bits: 0)
    case .position(let position): (tag, offset) = (EpochTag(position.epoch), position.offset.value)
    case .abbreviated(let known, let at): (tag, offset) = (known, at.value)
    }
    Base64Group.append(Self.tag(name), to: &text)
    tag.append(to: &text)
    switch place {
    case .empty: return Base64Group.append(Self.special, to: &text)
    case .start: return Base64Group.append(Self.special | 1, to: &text)
    default: append(offset)
    }
  }

  private mutating func append(_ offset: UInt64) {
    func group(_ shift: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: offset >> shift & 0xFF_FFFF) }
    switch offset {
    case 0..<Self.oneGroup: Base64Group.append(group(0), to: &text)
    case Self.oneGroup..<Self.twoGroups:
      Base64Group.append(1 << 22 | group(24), to: &text)
      Base64Group.append(group(0), to: &text)
    default:
      Base64Group.append(2 << 22 | group(48), to: &text)
      Base64Group.append(group(24), to: &text)
      Base64Group.append(group(0), to: &text)
    }
  }

  // MARK: reading

  static func isShort(_ text: String) -> Bool { text.utf8.first == mark }

  /// The places of those of `names` that a short id has one for; nil for what is no such id.
  static func decode(_ text: String, _ names: [ChannelName]) -> [ChannelName: Place]? {
    guard isShort(text), let groups = groups(text.dropFirst()) else { return nil }
    var found: [UInt32: Place] = [:]
    var next = 0
    while next < groups.count {
      guard let (tag, place) = part(groups, &next), found.updateValue(place, forKey: tag) == nil else {
        return nil
      }
    }
    var places: [ChannelName: Place] = [:]
    for name in names { places[name] = found[tag(name)] }
    return places
  }

  private static func groups(_ text: Substring) -> [UInt32]? {
    guard text.utf8.count.isMultiple(of: 4), let read = bytes(base64: String(text)),
      read.count == text.utf8.count / 4 * 3
    else { return nil }
    return stride(from: 0, to: read.count, by: 3).map {
      UInt32(read[$0]) << 16 | UInt32(read[$0 + 1]) << 8 | UInt32(read[$0 + 2])
    }
  }

  private static func part(_ groups: [UInt32], _ next: inout Int) -> (UInt32, Place)? {
    guard groups.count - next >= 4 else { return nil }
    let tag = groups[next]
    let epoch = EpochTag(bits: UInt64(groups[next + 1]) << 24 | UInt64(groups[next + 2]))
    let first = groups[next + 3]
    let more = Int(first >> 22)
    next += 4
    guard more < 3 else {
      guard epoch.bits == 0, first <= special | 1 else { return nil }
      return (tag, first == special ? .empty : .start)
    }
    guard groups.count - next >= more else { return nil }
    var offset = UInt64(first & (1 << 22 - 1))
    guard more < 2 || offset < 1 << 16 else { return nil }
    for group in groups[next..<(next + more)] { offset = offset << 24 | UInt64(group) }
    next += more
    return (tag, .abbreviated(epoch, Offset(offset)))
  }
}
