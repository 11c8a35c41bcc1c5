internal import Synchronization

/// Together with whom a holder of memory is counted: those that one limit would bind together.
enum MemoryAccount: Hashable, Sendable {
  case user(UserKey)
  /// Of clients that have not signed in.
  case address(AddressKey)
  /// What limits don't bind, or is no client's, each by itself.
  case alone(ObjectIdentifier)
}

/// What clients make one loop hold: each holder, and in whose account. Pure.
struct MemoryTally: Sendable, Equatable {
  struct Holder: Sendable, Equatable {
    var account: MemoryAccount
    var bytes: Int
  }

  private(set) var bytes = 0
  private(set) var holders: [Holder] = []

  mutating func add(_ held: Int, of account: @autoclosure () -> MemoryAccount) {
    guard held > 0 else { return }
    bytes += held
    holders.append(Holder(account: account(), bytes: held))
  }

  /// What is held, and nobody can be let go for.
  mutating func add(loose held: Int) { bytes += max(0, held) }
}

/// Who has to be let go so that all loops come down to seven eighths of the budget. Pure.
enum MemoryRelief {
  /// A holder, and what its account would still hold if all its larger ones had gone.
  private struct Turn {
    var held: Int
    var bytes: Int
    var loop: Int
    var place: Int
  }

  /// For each loop the places of those of its holders that go; none where all hold no more than `most`.
  ///
  /// The account that holds most, over all loops, loses its largest holder, until there is room. So
  /// it is no use to spread what one holds over many connections, and who holds little loses nothing
  /// while others hold more. Loops that have the same tallies before them agree.
  /// - Cost: two sorts of all holders.
  static func of(_ tallies: [MemoryTally], most: Int) -> [[Int]] {
    var going = [[Int]](repeating: [], count: tallies.count)
    let total = tallies.reduce(0) { $0 + $1.bytes }
    guard total > most else { return going }
    var excess = total - most / 8 * 7
    for turn in turns(tallies) {
      guard excess > 0 else { break }
      excess -= turn.bytes
      going[turn.loop].append(turn.place)
    }
    return going
  }

  /// All holders in the order in which they would go.
  ///
  /// What an account holds only falls as its largest go one after the other, so that taking from the
  /// account that holds most, again and again, is going by what is left at each one's turn.
  private static func turns(_ tallies: [MemoryTally]) -> [Turn] {
    var turns: [Turn] = []
    var left: [MemoryAccount: Int] = [:]
    for (loop, tally) in tallies.enumerated() {
      for (place, holder) in tally.holders.enumerated() {
        turns.append(Turn(held: 0, bytes: holder.bytes, loop: loop, place: place))
        left[holder.account, default: 0] += holder.bytes
      }
    }
    turns.sort { ($1.bytes, $0.loop, $0.place) < ($0.bytes, $1.loop, $1.place) }
    for index in turns.indices {
      let turn = turns[index]
      let account = tallies[turn.loop].holders[turn.place].account
      turns[index].held = left[account] ?? 0
      left[account, default: 0] -= turn.bytes
    }
    turns.sort { ($1.held, $0.loop, $0.place) < ($0.held, $1.loop, $1.place) }
    return turns
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

    var verdict: Verdict {
      let counted = tallies.reduce(0) { $0 + $1.bytes }
      if counted > most { return .over }
      return counted + grown.reduce(0, +) > most ? .uncertain : .fine
    }
  }

  private let state = Mutex(State())

  enum Verdict: Equatable {
    case fine
    /// It may be too much: every loop has to count.
    case uncertain
    /// It is too much, by what loops have counted.
    case over
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
      return state.verdict
    }
  }

  /// Loop `index` has counted. Also tells what all loops hold.
  func counted(_ tally: MemoryTally, at index: Int) -> (verdict: Verdict, total: Int) {
    state.withLock { state in
      state.makeRoom(for: index)
      state.tallies[index] = tally
      state.grown[index] = 0
      return (state.verdict, state.tallies.reduce(0) { $0 + $1.bytes })
    }
  }

  /// Which of the holders that loop `index` counted last have to go, by their places there.
  func relief(at index: Int) -> [Int] {
    let (tallies, most) = state.withLock { ($0.tallies, $0.most) }
    guard tallies.indices.contains(index) else { return [] }
    return MemoryRelief.of(tallies, most: most)[index]
  }
}
