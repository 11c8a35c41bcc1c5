internal import Archive
public import Bytes
internal import SQLite
public import Wire

/// A stream that begins as another one is up to an offset, and goes on by itself.
public struct ForkRequest: Sendable, Equatable {
  public var source: ChannelName
  /// `ROOT@LABEL`, where `ROOT` is the source's name up to its own `@`.
  public var name: ChannelName
  /// The last offset that both have; nil for the source's head.
  public var at: Offset?
  /// The epoch the source must be in; nil for whichever.
  public var epoch: Epoch?
  /// Who forks; at most 255 bytes, may be empty.
  public var author: String
  /// Milliseconds since 1970.
  public var time: Int64

  public init(
    of source: ChannelName, as name: ChannelName, at: Offset? = nil, epoch: Epoch? = nil,
    author: String = "", time: Int64
  ) {
    self.source = source
    self.name = name
    self.at = at
    self.epoch = epoch
    self.author = author
    self.time = time
  }
}

/// What became of a fork. Nothing was written but by the first.
public enum ForkOutcome: Sendable, Equatable {
  /// The fork stands at its fork point, or where its own events have brought it since.
  case forked(StreamHead, at: Offset, origin: Origin)
  case unknownStream
  case otherEpoch(StreamHead)
  /// What is up to that offset was removed from the source.
  case trimmed(StreamHead)
  /// The source does not reach that offset.
  case ahead(StreamHead)
  /// Another stream has the name, or the same source's fork at another offset.
  case nameTaken
  case refused(ForkRefusal)
  case outOfSpace

  /// Whether this request made the fork, or one before it that asked for the same.
  public enum Origin: Sendable, Hashable {
    case made
    case found
  }
}

/// Why a fork was refused before anything was tried.
public enum ForkRefusal: String, Sendable, Hashable {
  case name = "a fork's name is the source's, up to its own @ if it has one, then @ and a label"
  case author = "an author is at most 255 bytes"
  case depth = "too many forks of forks"
}

extension EventStore {
  /// Makes a fork: one row, whatever is in the source. No event is copied; readers of the fork are given
  /// the source's up to the fork point.
  ///
  /// - Shape: a fork at an offset that the source has from its own source is a fork of that one.
  /// - Cost: one commit; reads at most one segment.
  /// - Errors: `mustExit` as of `commit`.
  public func fork(_ request: ForkRequest, at now: StoreInstant) throws(StoreFailure) -> ForkOutcome {
    guard request.name.isFork(of: request.source) else { return .refused(.name) }
    guard request.author.utf8.count <= StoreLimits.userBytesMax else { return .refused(.author) }
    var outcome = ForkOutcome.unknownStream
    let done = try transact(at: now) { draft throws(SQLiteError) in
      outcome = try stage(request, &draft)
    }
    return done == .outOfSpace ? .outOfSpace : outcome
  }

  private func stage(
    _ request: ForkRequest, _ draft: inout Draft
  ) throws(SQLiteError) -> ForkOutcome {
    guard let found = try streams.find(request.source) else { return .unknownStream }
    let source = streams[found]
    let standing = StreamHead(
      name: request.source, epoch: source.row.epoch, floor: source.row.floor, head: source.head)
    if let epoch = request.epoch, epoch != source.row.epoch { return .otherEpoch(standing) }
    let at = request.at ?? source.head
    if at < source.row.floor { return .trimmed(standing) }
    if at > source.head { return .ahead(standing) }
    let owner = try owner(of: at, in: found)
    if let other = try streams.find(request.name) {
      let fork = streams[other]
      guard fork.row.parent == streams[owner].row.id, fork.row.fork == at else { return .nameTaken }
      let head = StreamHead(
        name: request.name, epoch: fork.row.epoch, floor: fork.row.floor, head: fork.head)
      return .forked(head, at: at, origin: .found)
    }
    guard try depth(of: owner) < Lineage.depthMax - 1 else { return .refused(.depth) }
    var row = StreamRow(
      id: draft.nextStream(), name: request.name, epoch: Epoch(random: options.entropy.bits128),
      floor: source.row.floor, head: at, chain: try chain(of: found, at: at), created: request.time)
    row.parent = streams[owner].row.id
    row.fork = at
    row.author = request.author
    _ = try streams.create(row)
    draft.hasChanges = true
    let head = StreamHead(name: request.name, epoch: row.epoch, floor: row.floor, head: at)
    return .forked(head, at: at, origin: .made)
  }

  /// The stream whose own event is at an offset of `slot`; for what is before all events the first one.
  func owner(of offset: Offset, in slot: StreamTable.Slot) throws(SQLiteError)
    -> StreamTable.Slot
  {
    var slot = slot
    while streams[slot].row.parent != 0, offset <= streams[slot].row.fork {
      slot = try parent(of: slot)
    }
    return slot
  }

  private func depth(of slot: StreamTable.Slot) throws(SQLiteError) -> Int {
    var slot = slot
    var depth = 0
    while streams[slot].row.parent != 0, depth < Lineage.depthMax {
      slot = try parent(of: slot)
      depth += 1
    }
    return depth
  }

  private func parent(of slot: StreamTable.Slot) throws(SQLiteError) -> StreamTable.Slot {
    guard let parent = try streams.find(id: streams[slot].row.parent) else {
      throw SQLiteError(extendedCode: 11, call: "read", message: "a fork without its source")
    }
    return parent
  }

  /// The chain behind one of a stream's offsets from its floor on: known before each block, so that the
  /// rest of one block is all that has to be followed. The block is that of the stream's next event, which
  /// is there: of what the stream was forked from, nobody else may need what comes after the fork point.
  func chain(of slot: StreamTable.Slot, at offset: Offset) throws(SQLiteError) -> StreamChain {
    if offset == streams[slot].head { return streams[slot].chain }
    let next = offset.next
    let id = streams[try owner(of: next, in: slot)].row.id
    let block = if let waiting = tail.run(of: id)?.block(of: next) { waiting } else {
      try segments.block(of: id, at: next)
    }
    if let block, block.first == next { return block.chain }
    guard let block,
      let chain = chains.chain(
        block.chain, addingAll: block.events.bytes.span, count: block.count, from: block.first,
        through: offset)
    else {
      throw SQLiteError(extendedCode: 11, call: "read", message: "event \(next) is damaged")
    }
    return chain
  }
}
