internal import Bytes
internal import Platform

/// Tickets where several gateways of one machine find them: a file each, named by the ticket's
/// digest, whose removal uses the ticket up. Any thread; a call is a few operations on small files,
/// so the directory belongs on a file system in memory.
///
/// Holds the claims, for their owner alone, and never the ticket: who can read the directory can
/// open nothing with it.
struct TicketDirectory: Sendable {
  private let path: FilePath
  private let life: Duration

  init(_ path: String, life: Duration) {
    self.path = FilePath(path)
    self.life = life
  }

  private func file(_ digest: [UInt8]) -> FilePath { path.appending(hex(digest)) }

  /// - Errors: nothing was written.
  func put(_ digest: [UInt8], _ claims: [UInt8], nowMs: Int64) throws(SystemError) {
    let deadline = nowMs + life.millisecondsClamped
    try Files.replace(file(digest), with: Array("\(deadline)\n".utf8) + claims, mode: 0o600)
  }

  /// The claims of a ticket that nobody has used and that is good now; nobody finds it afterwards.
  func take(_ digest: [UInt8], nowMs: Int64) -> [UInt8]? {
    // Of all that try, one gets the name changed.
    let mine = path.appending("\(hex(digest)).\(Syscalls.processID)")
    guard (try? Files.rename(file(digest), to: mine)) != nil else { return nil }
    defer { try? Files.remove(mine) }
    guard let content = try? Files.read(mine, bytesMax: 16_384),
      let end = content.firstIndex(of: 0x0A),
      let deadline = Int64(String(decoding: content[..<end], as: UTF8.self)), nowMs < deadline
    else { return nil }
    return Array(content[(end + 1)...])
  }

  /// Nothing else in the directory is touched, should it be another one than was meant.
  private static func isOurs(_ name: [UInt8]) -> Bool {
    let stem = name.prefix { $0 != UInt8(ascii: ".") }
    return stem.count == 64 && bytes(hex: String(decoding: stem, as: UTF8.self)) != nil
  }

  /// Removes what has long expired, whoever put it there.
  func sweep(nowMs: Int64) {
    for name in (try? Files.list(path)) ?? [] where Self.isOurs(name) {
      let file = path.appending(String(decoding: name, as: UTF8.self))
      guard let status = try? Files.status(file), status.kind == .file,
        nowMs - status.modifiedMilliseconds > 2 * life.millisecondsClamped
      else { continue }
      try? Files.remove(file)
    }
  }
}
