internal import Bytes
internal import SQLite

/// Writes the table `places`: the way from a stream's offset to a position.
struct PlaceTable {
  private let insert: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    insert = try connection.prepare(
      "INSERT INTO places(stream, offset, position) VALUES (?1, ?2, ?3)")
  }

  /// Inserts `places`, which are cheapest in the order of the index. A place that is taken is an
  /// error: two events with one offset.
  func insert(_ places: [Place]) throws(SQLiteError) {
    for place in places {
      insert.bind(1, place.stream)
      insert.bind(2, bits: place.offset.value)
      insert.bind(3, place.position)
      try insert.run()
    }
  }
}
