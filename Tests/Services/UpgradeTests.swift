import Platform
import TestKit
import Testing

extension ServiceTests {
  /// Row 51: another build takes over service by service, under load, and gives way again.
  struct Upgrade {
    /// `SAPPHIRE_OLD` is the directory of the other build; without it the same one is restarted, which
    /// shows that the way itself loses nothing.
    @Test func aRollingUpgradeAndItsRollbackLoseNothing() throws {
      var options = ServiceTests.options()
      let old = Processes.environment("SAPPHIRE_OLD").map { FilePath($0) }
      if let old {
        for kind in ServiceKind.allCases { options.builds[kind] = old.appending(kind.executable) }
      }
      try ServiceCluster.run(ServiceTests.everyone, options) { cluster in
        let fleet = try Fleet(cluster, producers: 3, observers: 10)
        try fleet.waitForProgress()
        // In the order that docs/OPERATIONS.md gives, and back.
        let order: [ServiceKind] = [.eventstore, .hub, .presence, .gateway]
        for kind in order { try replace(kind, by: nil, cluster, fleet) }
        for kind in order.reversed() {
          try replace(kind, by: old?.appending(kind.executable), cluster, fleet)
        }
        try fleet.settle()
      }
    }

    private func replace(
      _ kind: ServiceKind, by build: FilePath?, _ cluster: ServiceCluster, _ fleet: Fleet
    ) throws {
      try cluster.send(.terminate, kind)
      try fleet.loop.wait("the end of \(kind)", within: .seconds(20)) { !cluster.isRunning(kind) }
      #expect(try cluster.waitForEnd(kind) == .exited(0), "\(kind)")
      cluster.options.builds[kind] = build
      try cluster.start(kind)
      try fleet.waitUntilReady()
      try fleet.waitForProgress()
    }
  }
}
