internal import Platform

/// Which seeds are run, and what they came to.
struct SeedRuns {
  var count: UInt64 = 200
  var first: UInt64 = 1
  /// So many are run twice, which must be the same to the last bit.
  var twice = 10
  /// Seeds that once failed: first of all, and twice.
  var kept: [UInt64] = []
  var one: UInt64?

  /// Nil for arguments that are none.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      if let number = UInt64(name) {
        count = number
        continue
      }
      guard let value = rest.popFirst() else { return nil }
      switch (name, UInt64(value)) {
      case ("--seed", let seed?): one = seed
      case ("--from", let seed?): first = seed
      case ("--twice", let number?): twice = Int(clamping: number)
      case ("--kept", _): kept = value.split(separator: ",").compactMap { UInt64($0) }
      default: return nil
      }
    }
  }

  /// Prints what failed and a summary; whether all is well.
  func run() -> Bool {
    if let one { return runAlone(one) }
    let began = SystemClock.monotonic()
    var total = Total()
    for (index, seed) in (kept + Array(first..<(first + count))).enumerated() {
      let result = Self.run(seed, isTold: false)
      var flaw = result.flaw
      if flaw == nil, index < kept.count + twice {
        let again = Self.run(seed, isTold: false)
        if again.hash != result.hash { flaw = "run again it has hash \(Self.hex(again.hash))" }
      }
      if let flaw {
        print("error: make simulate SEED=\(seed)  (hash \(Self.hex(result.hash))): \(flaw)")
      }
      total.add(result, isGood: flaw == nil)
    }
    let milliseconds = SystemClock.monotonic().since(began).nanosecondsClamped / 1_000_000
    print("simulate: \(total.text), \(milliseconds) ms")
    print("\(total.passed) passed, \(total.failed) failed")
    return total.failed == 0
  }

  private func runAlone(_ seed: UInt64) -> Bool {
    let result = Self.run(seed, isTold: true)
    let isGood = result.flaw == nil
    print("seed \(seed), hash \(Self.hex(result.hash)): \(result.flaw ?? "all is well")")
    print("\(isGood ? 1 : 0) passed, \(isGood ? 0 : 1) failed")
    return isGood
  }

  /// Every tenth seed is one of bits that turn over at rest.
  private static func run(_ seed: UInt64, isTold: Bool) -> RunResult {
    seed % 10 == 0
      ? RotRun(seed: seed, isTold: isTold).run() : Run(seed: seed, isTold: isTold).run()
  }

  private static func hex(_ hash: UInt64) -> String { String(hash, radix: 16) }

  private struct Total {
    var passed = 0
    var failed = 0
    var steps = 0
    var commits = 0
    var opens = 0
    var received = 0
    var losses = 0
    var hopeless = 0

    mutating func add(_ result: RunResult, isGood: Bool) {
      passed += isGood ? 1 : 0
      failed += isGood ? 0 : 1
      steps += result.steps
      commits += result.commits
      opens += result.opens
      received += result.received
      losses += result.losses
      hopeless += result.isBeyondHope ? 1 : 0
    }

    var text: String {
      "\(steps) steps, \(commits) commits, \(opens) openings of the store, \(received) events received, "
        + "\(losses) losses accepted, \(hopeless) runs ended by damage"
    }
  }
}
