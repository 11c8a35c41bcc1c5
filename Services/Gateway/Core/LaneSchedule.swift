internal import Observe

/// How urgent what waits for one client is. A channel lies in one lane, so that its order is kept.
enum Lane: Int, CaseIterable {
  /// Answers, errors, pings: what is neither published nor can be left out.
  case control
  case state, normal, bulk
}

/// A lane as a label.
struct LaneLabel: MetricLabel {
  static let labelName = "lane"
  static let allCases = Lane.allCases.map(LaneLabel.init)

  let lane: Lane
  var rawValue: String { "\(lane)" }

  init(_ lane: Lane) { self.lane = lane }
  init?(rawValue: String) {
    guard let lane = Lane.allCases.first(where: { "\($0)" == rawValue }) else { return nil }
    self.lane = lane
  }
}

/// Which lane goes next: the most urgent one that has something, but none waits for ever. Pure.
///
/// While a lane waits it is owed a byte for every `share` bytes of more urgent ones. Once that is
/// worth its next parcel, or a quantum of it, the parcel goes; what it was larger is held against
/// the lane. So the first parcel of a lane that owes nothing leaves behind at most
/// `share * min(bytes, quantum)` bytes of more urgent ones, and one parcel that was under way.
struct LaneSchedule {
  /// BUDGET: bytes of more urgent lanes for each byte of this one, by lane.
  static let shares = [1, 4, 4, 8]
  /// BUDGET: a parcel beyond this goes once so much of it is owed.
  static let quantum = 16 * 1024

  /// In bytes of more urgent lanes.
  private var passed = [Int](repeating: 0, count: Lane.allCases.count)

  /// The lane whose next parcel goes, and that it went.
  ///
  /// - Parameter next: bytes of each lane's next parcel; 0: nothing waits there.
  mutating func take(_ next: [Int]) -> Lane? {
    guard let urgent = next.firstIndex(where: { $0 > 0 }) else { return nil }
    let due = next.indices.first { index in
      index > urgent && next[index] > 0
        && passed[index] >= Self.shares[index] * min(next[index], Self.quantum)
    }
    let chosen = due ?? urgent
    for index in next.indices {
      if next[index] == 0 { passed[index] = 0 } else if index > chosen {
        passed[index] += next[chosen]
      }
    }
    // What a lane gets while nothing more urgent waits is nobody's loss.
    passed[chosen] = due == nil ? 0 : passed[chosen] - Self.shares[chosen] * next[chosen]
    return Lane(rawValue: chosen)
  }
}
