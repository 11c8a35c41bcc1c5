/// A connection between two parts: in order in each direction, late, and cut off whole.
///
/// What is under way when it is cut is lost, and questions without an answer fail. Nothing is doubled and
/// nothing overtaken: whoever connects anew asks anew.
final class SimulatedLink {
  private let world: World
  private let delay: ClosedRange<Int64>
  private(set) var isUp = true
  private var latest: (there: Int64, back: Int64) = (0, 0)
  private var open: [Int: () -> Void] = [:]
  private var asked = 0
  /// Told once, whichever end or fault cut it.
  var onCut: [() -> Void] = []

  init(_ world: World, _ delay: ClosedRange<Int64>) {
    self.world = world
    self.delay = delay
  }

  func send(_ body: @escaping () -> Void) {
    latest.there = max(latest.there + 1, world.now + world.between(delay))
    carry(latest.there, body)
  }

  func sendBack(_ body: @escaping () -> Void) {
    latest.back = max(latest.back + 1, world.now + world.between(delay))
    carry(latest.back, body)
  }

  private func carry(_ time: Int64, _ body: @escaping () -> Void) {
    guard isUp else { return }
    world.after(time - world.now) { [self] in if isUp { body() } }
  }

  /// Asks the other end; `done` gets its answer, or nil where none came in time.
  func ask<Answer>(
    within limit: Int64, _ other: @escaping (@escaping (Answer) -> Void) -> Void,
    _ done: @escaping (Answer?) -> Void
  ) {
    asked += 1
    let number = asked
    guard isUp else { return world.after(0) { done(nil) } }
    open[number] = { done(nil) }
    world.after(limit) { [self] in open.removeValue(forKey: number)?() }
    send { [self] in
      other { answer in
        self.sendBack { [self] in
          if open.removeValue(forKey: number) != nil { done(answer) }
        }
      }
    }
  }

  func cut() {
    guard isUp else { return }
    isUp = false
    let waiting = open.keys.sorted().compactMap { open[$0] }
    open = [:]
    for fail in waiting { fail() }
    for tell in onCut { tell() }
    onCut = []
  }
}
