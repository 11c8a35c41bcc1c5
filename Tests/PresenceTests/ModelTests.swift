import Bytes
import PresenceCore
import Testing

/// The board against a model, under random churn and failures (reliability row 126; P11, P12).
///
/// A failing seed is in the test's arguments or in the output; add it to `seeds` to keep it.
@Suite struct ModelTests {
  static let seeds: [UInt64] =
    Array(1...20) + [UInt64.random(in: 1000...UInt64.max), UInt64.random(in: 1000...UInt64.max)]

  /// Without failures every observer is right at the end of every turn: nobody is shown to leave who
  /// may still resume, and nobody stays whose grace is over.
  @Test(arguments: seeds)
  func observersAreRightAfterEveryTurn(seed: UInt64) {
    var world = World(seed: seed)
    for _ in 0..<600 {
      churn(&world)
      world.advance(by: .milliseconds(Int.random(in: 0..<400, using: &world.random)))
      guard expectAgreement(world, seed) else { return }
    }
    world.scene.expectNoBreaches()
  }

  /// With failures every observer is right once they have stopped.
  @Test(arguments: seeds)
  func observersConvergeOnceFailuresStop(seed: UInt64) {
    var world = World(seed: seed)
    for round in 0..<4 {
      for _ in 0..<150 {
        churn(&world)
        if Int.random(in: 0..<4, using: &world.random) == 0 { world.fail() }
        if Int.random(in: 0..<400, using: &world.random) == 0 { world.restartService() }
        world.advance(by: .milliseconds(Int.random(in: 0..<400, using: &world.random)))
      }
      world.heal()
      guard expectAgreement(world, seed) else { return }
      let connections = world.lanes.reduce(0) { $0 + $1.live.count }
      #expect(world.scene.board.totals.connections == connections, "seed \(seed) round \(round)")
      #expect(world.scene.board.totals.pendingBytes == 0, "seed \(seed) round \(round)")
    }
    world.scene.expectNoBreaches()
  }

  /// The failures above are worth what they reach.
  @Test func failuresReachEveryDefence() {
    var sum = PresenceCounters()
    for seed in Self.seeds.prefix(5) {
      var world = World(seed: seed)
      for _ in 0..<600 {
        churn(&world)
        world.fail()
        world.advance(by: .milliseconds(Int.random(in: 0..<400, using: &world.random)))
      }
      let counters = world.scene.board.counters
      sum.resumes += counters.resumes
      sum.batchesIgnored += counters.batchesIgnored
      sum.reportsRequested += counters.reportsRequested
      sum.linksFenced += counters.linksFenced
      sum.leasesLapsed += counters.leasesLapsed
    }
    #expect(sum.resumes > 10)
    #expect(sum.batchesIgnored > 10)
    #expect(sum.reportsRequested > 10)
    #expect(sum.linksFenced > 10)
    #expect(sum.leasesLapsed > 10)
  }

  private func churn(_ world: inout World) {
    for _ in 0..<Int.random(in: 0..<5, using: &world.random) {
      switch Int.random(in: 0..<10, using: &world.random) {
      case 0...3: world.join()
      case 4...5: world.leave(.goodbye)
      case 6...7: world.leave(.lost)
      case 8: world.resume()
      default: world.toggleWatch()
      }
    }
  }

  private func expectAgreement(_ world: World, _ seed: UInt64) -> Bool {
    var agrees = true
    for lane in world.lanes {
      guard let link = lane.link else { continue }
      for channel in lane.watches {
        let shown = world.scene.keys(on: link, channel)
        let present = world.present(in: channel)
        #expect(
          shown == present,
          """
          seed \(seed), \(channel) on link \(link): \
          ghosts \(shown.subtracting(present)), missing \(present.subtracting(shown))
          """)
        agrees = agrees && shown == present
      }
    }
    return agrees
  }
}
