internal import Bytes
internal import SQLite

/// The table `successors`: of names whose streams were deleted, the epoch that the next one has.
struct SuccessorTable {
  private let select: Statement
  private let replace: Statement
  private let remove: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    select = try connection.prepare("SELECT epoch, crc FROM successors WHERE name = ?1")
    replace = try connection.prepare(
      "INSERT OR REPLACE INTO successors(name, epoch, crc) VALUES (?1, ?2, ?3)")
    remove = try connection.prepare("DELETE FROM successors WHERE name = ?1")
  }

  private static func checksum(_ name: ChannelName, _ epoch: Epoch) -> Int64 {
    var writer = ByteWriter(reserving: 96)
    writer.text16(name.text)
    writer.text16(epoch.text)
    return Int64(crc32c(writer.bytes))
  }

  /// Nil for a name that no stream has had.
  func epoch(of name: ChannelName) throws(SQLiteError) -> Epoch? {
    select.bind(1, text: name.text)
    guard try select.step() else { return nil }
    defer { select.reset() }
    guard let epoch = Epoch(select.text(0)), Self.checksum(name, epoch) == select.integer(1) else {
      throw SQLiteError(extendedCode: 11, call: "read", message: "the epoch of a name is damaged")
    }
    return epoch
  }

  func keep(_ name: ChannelName, _ epoch: Epoch) throws(SQLiteError) {
    replace.bind(1, text: name.text)
    replace.bind(2, text: epoch.text)
    replace.bind(3, Self.checksum(name, epoch))
    try replace.run()
  }

  func forget(_ name: ChannelName) throws(SQLiteError) {
    remove.bind(1, text: name.text)
    try remove.run()
  }
}
