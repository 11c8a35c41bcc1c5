internal import Archive
public import Bytes
internal import SQLite
public import Wire

extension StoreReader {
  /// The latest snapshot of a fold at or before an offset, from which the stream can be read on; nil
  /// where there is none that is whole and of these events.
  ///
  /// - Shape: of the stream itself, or of what it was forked from up to where it was.
  /// - Parameters:
  ///   - offset: nil for the head.
  ///   - wantsState: else the bytes are left in the file, and not checked.
  /// - Cost: reads the bytes, and at most one segment for each that is looked at.
  public func snapshot(
    of stream: ChannelName, _ fold: FoldName, at offset: Offset?, wantsState: Bool
  ) throws(ReadFailure) -> SnapshotFound? {
    try withStream(stream) { (view) throws(ReadFailure) -> SnapshotFound? in
      guard let view else {
        // A fork's name can't be asked about before it is made.
        _ = try firstEpoch(of: stream)
        return nil
      }
      let most = min(offset ?? view.head, view.head)
      for (index, part) in view.lineage.parts.enumerated().reversed() {
        let before = index > 0 ? view.lineage.parts[index - 1].through : .zero
        guard before < most else { continue }
        let found = try snapshot(
          of: part.stream, fold, through: min(most, part.through), view, stream, wantsState)
        if let found { return found }
      }
      return nil
    }
  }

  private func snapshot(
    of part: Int64, _ fold: FoldName, through offset: Offset, _ view: View, _ stream: ChannelName,
    _ wantsState: Bool
  ) throws(ReadFailure) -> SnapshotFound? {
    do throws(SQLiteError) {
      let rows = try snapshots.latest(
        of: part, fold, through: offset, limit: StoreLimits.snapshotsLookedAtMax)
      for row in rows where row.offset >= view.row.floor {
        guard try chain(at: row.offset, view) == row.chain else { continue }
        guard let state = wantsState ? try snapshots.state(of: row) : [] else { continue }
        return SnapshotFound(
          epoch: view.row.epoch, offset: row.offset, sha256: row.chain.bytes, timeMs: row.time,
          crc: row.sum, state: state)
      }
      return nil
    } catch {
      throw .unavailable(error.description)
    }
  }

  /// The chain behind one of a stream's offsets from its floor on; nil where the events that tell it
  /// are damaged.
  private func chain(at offset: Offset, _ view: View) throws(SQLiteError) -> StreamChain? {
    if offset == view.head { return view.runs[view.row.id]?.chain ?? view.row.chain }
    let next = offset.next
    let stream = view.lineage.part(of: next).part.stream
    let waiting = view.runs[stream]?.block(of: next)
    let found = if let waiting { waiting } else { try blocks.block(of: stream, at: next) }
    guard let block = found else { return nil }
    if block.first == next { return block.chain }
    var chains = StreamChain.Maker()
    return chains.chain(
      block.chain, addingAll: block.events.bytes.span, count: block.count, from: block.first,
      through: offset)
  }
}

/// Finds single blocks among segments.
struct BlockTable {
  private let select: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    select = try connection.prepare(
      """
      SELECT p.first, p.count, s.chain, s.crc, s.events FROM places p \
      JOIN segments s ON s.id = p.segment WHERE p.stream = ?1 AND p.first <= ?2 \
      ORDER BY p.first DESC LIMIT 1
      """)
  }

  /// The block that has an offset of a stream's own; nil where there is none, or none that fits its
  /// checksum.
  func block(of stream: Int64, at offset: Offset) throws(SQLiteError) -> EventBlock? {
    select.bind(1, stream)
    select.bind(2, bits: offset.value)
    guard try select.step() else { return nil }
    defer { select.reset() }
    guard let count = Int(exactly: select.integer(1)), let chain = StreamChain(select.bytes(2)) else {
      return nil
    }
    let block = EventBlock(
      stream: stream, first: Offset(select.bits(0)), chain: chain,
      events: EncodedEvents(trusting: select.bytes(4), count: count))
    let isSound = count > 0 && Int64(block.checksum(at: 0)) == select.integer(3)
    return isSound && block.contains(offset) ? block : nil
  }
}
