internal import Synchronization

/// What clients make one loop hold: how much, and how it is spread. Pure.
///
/// By size and not by holder, so that loops can agree on who holds most without knowing each other's
/// clients: in class n are those that hold from 2^(n−1) to less than 2^n bytes.
struct MemoryTally: Sendable, Equatable {
  private(set) var bytes = 0
  /// INVARIANT: their sum is `bytes`.
  private(set) var bySize = [Int](repeating: 0, count: MemoryTally.sizes)

  static let sizes = 64

  static func size(of bytes: Int) -> Int { Int.bitWidth - bytes.leadingZeroBitCount }

  mutating func add(_ held: Int) {
    guard held > 0 else { return }
    bytes += held
    bySize[Self.size(of: held)] += held
  }
}

/// Who has to be let go of one loop's holders. Pure.
struct MemoryRelief: Equatable {
  /// All of larger sizes; of this size the largest, until they held `bytes` together.
  var size: Int
  var bytes: Int

  /// What loop `index` has to let go so that all loops come down to seven eighths of `most`; nil where
  /// they hold no more than that.
  ///
  /// Those that hold most go first, on whatever loop; of the last size each loop takes its share.
  static func of(_ index: Int, _ tallies: [MemoryTally], most: Int) -> MemoryRelief? {
    let total = tallies.reduce(0) { $0 + $1.bytes }
    guard total > most, tallies.indices.contains(index) else { return nil }
    var excess = total - most / 8 * 7
    for size in (1..<MemoryTally.sizes).reversed() {
      let all = tallies.reduce(0) { $0 + $1.bySize[size] }
      guard all > 0 else { continue }
      guard all >= excess else {
        excess -= all
        continue
      }
      let share = Double(excess) * Double(tallies[index].bySize[size]) / Double(all)
      return MemoryRelief(size: size, bytes: Int(share.rounded(.up)))
    }
    return MemoryRelief(size: 0, bytes: 0)
  }
}

/// The one budget for what clients make all loops of a gateway hold (`limits.clientMemoryBytes`).
///
/// Loops say what they hold once a second, and how much has grown since in coarse steps, so that
/// nothing is counted for a publication. Sendable: its state is behind a lock.
final class ClientMemory: Sendable {
  private struct State {
    var most = Int.max
    var tallies: [MemoryTally] = []
    /// Since each loop's tally: what may have been let go again since.
    var grown: [Int] = []
    var wake: (@Sendable (_ from: Int) -> Void)?

    mutating func makeRoom(for index: Int) {
      while tallies.count <= index {
        tallies.append(MemoryTally())
        grown.append(0)
      }
    }

    func verdict(_ index: Int) -> Verdict {
      if let relief = MemoryRelief.of(index, tallies, most: most) { return .over(relief) }
      let total = zip(tallies, grown).reduce(0) { $0 + $1.0.bytes + $1.1 }
      return total > most ? .uncertain : .fine
    }
  }

  private let state = Mutex(State())

  enum Verdict: Equatable {
    case fine
    /// It may be too much: every loop has to count.
    case uncertain
    case over(MemoryRelief)
  }

  func allow(_ most: Int) { state.withLock { $0.most = most } }

  /// - Parameter wake: has all loops but one count what they hold.
  func onPressure(_ wake: @escaping @Sendable (_ from: Int) -> Void) {
    state.withLock { $0.wake = wake }
  }

  func wakeOthers(than index: Int) { state.withLock { $0.wake }?(index) }

  /// Loop `index` holds up to so much more than it said.
  func grew(by bytes: Int, at index: Int) -> Verdict {
    state.withLock { state in
      state.makeRoom(for: index)
      state.grown[index] += bytes
      return state.verdict(index)
    }
  }

  /// Loop `index` has counted. Also tells what all loops hold.
  func counted(_ tally: MemoryTally, at index: Int) -> (verdict: Verdict, total: Int) {
    state.withLock { state in
      state.makeRoom(for: index)
      state.tallies[index] = tally
      state.grown[index] = 0
      return (state.verdict(index), state.tallies.reduce(0) { $0 + $1.bytes })
    }
  }
}
