internal import Wire

/// Which link leads to which loop of which gateway, and the relays that are under way between them. Pure.
///
/// Every relay has two numbers: its sender's, on its link, and the hub's own, on the link it goes on by.
struct RelayTable {
  typealias Onward = (link: LinkNumber, number: UInt32)

  private var lanes: [UInt64: [UInt16: LinkNumber]] = [:]
  private var underWay: [LinkNumber: [UInt32: Onward]] = [:]
  private var last: UInt32 = 0

  /// BUDGET: relays of one link that are under way.
  static let relaysMax = 65_536
  /// BUDGET: lanes of one gateway; a process has at most 256 loops.
  static let lanesMax = 1_024

  /// The link leads to that lane from here on. False where the gateway has too many.
  mutating func take(_ place: RelayPlace, by link: LinkNumber) -> Bool {
    var known = lanes[place.gateway] ?? [:]
    guard place.lane != RelayPlace.anyLane, known[place.lane] != nil || known.count < Self.lanesMax
    else { return false }
    known[place.lane] = link
    lanes[place.gateway] = known
    return true
  }

  /// The link that leads there; nil where no such gateway, or no such loop of it, is known.
  func link(to place: RelayPlace) -> LinkNumber? {
    guard let known = lanes[place.gateway] else { return nil }
    guard place.lane == RelayPlace.anyLane else { return known[place.lane] }
    return known.min { $0.key < $1.key }?.value
  }

  /// The number that the relay goes on with; nil where its own is in use, or the link has too many.
  mutating func begin(_ number: UInt32, of link: LinkNumber, to target: LinkNumber) -> UInt32? {
    guard underWay[link]?[number] == nil, underWay[link]?.count ?? 0 < Self.relaysMax else {
      return nil
    }
    last &+= 1
    underWay[link, default: [:]][number] = (target, last)
    return last
  }

  /// Where a relay that is under way has gone.
  func onward(_ number: UInt32, of link: LinkNumber) -> Onward? { underWay[link]?[number] }

  /// The relay was answered. The number may be another relay's by now: then nothing is done.
  mutating func end(_ number: UInt32, of link: LinkNumber, as onward: UInt32) {
    guard underWay[link]?[number]?.number == onward else { return }
    underWay[link]?[number] = nil
    if underWay[link]?.isEmpty ?? false { underWay[link] = nil }
  }

  /// The link is gone: nothing leads there, and whoever carries out its relays does so for nobody.
  mutating func remove(_ link: LinkNumber) -> [Onward] {
    for (gateway, known) in lanes where known.values.contains(link) {
      let left = known.filter { $0.value != link }
      lanes[gateway] = left.isEmpty ? nil : left
    }
    return underWay.removeValue(forKey: link).map { Array($0.values) } ?? []
  }
}
