internal import Platform
internal import Synchronization

/// The addresses of a back end's host, looked up beside the loops. Any thread.
///
/// A host that is an address needs no looking up. A name is looked up once at start and then every
/// half minute by a thread of its own, so that no loop ever waits for a name server; what can't be
/// looked up leaves the addresses as they were.
final class HookHost: Sendable {
  private let name: String
  private let found: Mutex<[String]>

  private static let every = Duration.seconds(30)
  /// As long as there is none.
  private static let soon = Duration.seconds(2)

  /// Blocks for a name.
  init(_ name: String) {
    self.name = name
    guard !Self.isAddress(name) else {
      found = Mutex([name])
      return
    }
    found = Mutex((try? Sockets.addresses(of: name)) ?? [])
    guard let thread = try? RunningThread(name: "hook-names", { [weak self] in
      while let wait = self?.wait {
        SystemClock.pause(wait)
        self?.lookUp()
      }
    }) else { return }
    thread.detach()
  }

  /// In the order in which they should be tried.
  var addresses: [String] { found.withLock { $0 } }

  private var wait: Duration { addresses.isEmpty ? Self.soon : Self.every }

  private func lookUp() {
    guard let addresses = try? Sockets.addresses(of: name), !addresses.isEmpty else { return }
    found.withLock { $0 = addresses }
  }

  static func isAddress(_ host: String) -> Bool {
    host.contains(":")
      || host.utf8.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: ".") }
  }
}
