import Platform

/// A directory for one test, removed with all it holds when the value goes.
final class TemporaryDirectory {
  let path: FilePath

  init() throws {
    let base = Processes.environment("TMPDIR") ?? "/tmp"
    path = FilePath("\(base)/sapphire-test-\(Syscalls.processID)-\(UInt64.random(in: 0...(.max)))")
    try Files.makeDirectories(path)
  }

  func callAsFunction(_ name: String) -> FilePath { path.appending(name) }

  deinit { Self.remove(path) }

  private static func remove(_ path: FilePath) {
    for name in (try? Files.list(path)) ?? [] {
      let entry = path.appending(name)
      if (try? Files.linkStatus(entry))?.kind == .directory {
        remove(entry)
      } else {
        try? Files.remove(entry)
      }
    }
    try? Files.removeDirectory(path)
  }
}
