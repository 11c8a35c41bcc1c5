internal import Bytes
internal import Wire

/// Which snapshots of one stream and fold are kept when one more is. Pure.
///
/// Of the version that is written: the newest few, and of the older ones the oldest in each power of
/// two of distance from the newest, so that any past offset has one not much further back than it is
/// itself. Of other versions the newest of the highest, for who still folds by it. Beyond the bytes the
/// oldest go.
enum SnapshotChoice {
  /// BUDGET: snapshots kept next to each other, whatever their distance.
  static let newest = 4
  /// BUDGET: bytes of one stream's snapshots of one fold: eight of the largest.
  static let bytesMax = 8 * Limits.snapshotBytesMax

  /// - Parameter rows: all of the stream's of that fold, the new one among them.
  /// - Returns: the numbers of those that go.
  static func leaving(_ rows: [SnapshotRow], for version: UInt32) -> [Int64] {
    let own = rows.filter { $0.fold.version == version }.sorted { $0.offset > $1.offset }
    let others = rows.filter { $0.fold.version != version }
      .sorted { ($0.fold.version, $0.offset) > ($1.fold.version, $1.offset) }
    var kept = Array(own.prefix(newest))
    if let head = own.first?.offset {
      var oldest: [Int: SnapshotRow] = [:]
      for row in own.dropFirst(newest) {
        let distance = head.value - row.offset.value
        oldest[UInt64.bitWidth - distance.leadingZeroBitCount] = row
      }
      kept += oldest.values.sorted { $0.offset > $1.offset }
    }
    var bytes = 0
    var staying: Set<Int64> = []
    for row in kept + others.prefix(1) {
      bytes += row.bytes
      if staying.isEmpty || bytes <= bytesMax { staying.insert(row.id) }
    }
    return rows.map(\.id).filter { !staying.contains($0) }
  }
}
