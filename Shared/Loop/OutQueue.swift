internal import Bytes
internal import Platform

/// Bytes on their way out of one connection: whole shared chunks, then a tail that grows.
///
///     [chunk][chunk][ … tail ]
///      ^ start                ^ appended here
///
/// A chunk is part of an array that many queues may hold at once; it is never copied. The queue counts
/// bytes and refuses nothing: the bound and what happens at it belong to the owner, who asks
/// `count` before it appends.
struct OutQueue {
  private struct Chunk {
    var bytes: [UInt8]
    var start: Int
    var end: Int
  }

  private var chunks: [Chunk] = []
  private var firstChunk = 0
  private(set) var tail: [UInt8] = []
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// Gives a tail that already has capacity. Only while the tail is empty.
  mutating func adopt(spare buffer: consuming [UInt8]) {
    if tail.capacity == 0 { tail = buffer }
  }

  var tailHasCapacity: Bool { tail.capacity > 0 }

  mutating func append(_ bytes: borrowing Span<UInt8>) {
    tail.append(copying: bytes)
    count += bytes.count
  }

  mutating func append(_ bytes: [UInt8]) {
    tail.append(contentsOf: bytes)
    count += bytes.count
  }

  /// Lets `body` write at the end of the tail.
  mutating func append(_ body: (inout [UInt8]) -> Void) {
    let before = tail.count
    body(&tail)
    count += tail.count - before
  }

  /// Appends part of a chunk by reference. Small ones are copied: sharing costs more.
  mutating func append(shared chunk: [UInt8], from offset: Int, to end: Int) {
    let left = end - offset
    guard left > 0 else { return }
    guard left > 512 else {
      append(chunk.span.extracting(offset..<end))
      return
    }
    sealTail()
    chunks.append(Chunk(bytes: chunk, start: offset, end: end))
    count += left
  }

  mutating func append(shared chunk: [UInt8], from offset: Int) {
    append(shared: chunk, from: offset, to: chunk.count)
  }

  private mutating func sealTail() {
    guard !tail.isEmpty else { return }
    var sealed: [UInt8] = []
    swap(&sealed, &tail)
    chunks.append(Chunk(bytes: sealed, start: 0, end: sealed.count))
  }

  /// Writes until nothing is left, the socket is full, or `budget` bytes are out.
  mutating func write(to descriptor: borrowing Descriptor, budget: Int) -> WriteResult {
    var left = budget
    while count > 0 {
      guard left > 0 else { return .blocked }
      if firstChunk == chunks.count { sealTail() }
      let chunk = chunks[firstChunk]
      let most = min(left, chunk.end - chunk.start)
      switch Syscalls.send(descriptor, chunk.bytes, from: chunk.start, limit: most) {
      case .count(let sent):
        advance(sent)
        left -= sent
      case .wouldBlock: return .blocked
      case .endOfStream: return .failed(32)
      case .failed(let code): return .failed(code)
      }
    }
    return .drained
  }

  /// The common case: only a tail, all of which the socket takes. Keeps the tail's capacity.
  mutating func writeTail(to descriptor: borrowing Descriptor) -> WriteResult {
    guard firstChunk == chunks.count, count <= 64 * 1024 else {
      return write(to: descriptor, budget: Self.budgetBytes)
    }
    switch Syscalls.send(descriptor, tail, from: 0) {
    case .count(let sent) where sent == tail.count:
      count = 0
      return .drained
    case .count(let sent):
      sealTail()
      advance(sent)
      return .blocked
    case .wouldBlock: return .blocked
    case .endOfStream: return .failed(32)
    case .failed(let code): return .failed(code)
    }
  }

  /// Lends the first bytes, at most `limit` of them, in one piece, and forgets them.
  ///
  /// - Parameter scratch: an empty array, for pieces that lie in several chunks.
  mutating func take(
    upTo limit: Int, gathering scratch: inout [UInt8], _ body: (borrowing Span<UInt8>) -> Void
  ) {
    if firstChunk == chunks.count, count <= limit {
      body(tail.span)
      tail.removeAll(keepingCapacity: true)
      count = 0
      return
    }
    var left = limit
    while left > 0, count > 0 {
      if firstChunk == chunks.count { sealTail() }
      let chunk = chunks[firstChunk]
      let taken = min(left, chunk.end - chunk.start)
      scratch.append(copying: chunk.bytes.span.extracting(chunk.start..<chunk.start + taken))
      advance(taken)
      left -= taken
    }
    body(scratch.span)
  }

  /// The tail's storage, once everything has been written.
  mutating func releaseTail() -> [UInt8] {
    var released: [UInt8] = []
    swap(&released, &tail)
    return released
  }

  mutating func removeAll() {
    chunks = []
    firstChunk = 0
    tail = []
    count = 0
  }

  private mutating func advance(_ sent: Int) {
    count -= sent
    chunks[firstChunk].start += sent
    guard chunks[firstChunk].start >= chunks[firstChunk].end else { return }
    chunks[firstChunk].bytes = []
    firstChunk += 1
    if firstChunk == chunks.count || firstChunk >= 64 {
      chunks.removeFirst(firstChunk)
      firstChunk = 0
    }
  }

  enum WriteResult { case drained, blocked, failed(Int32) }

  /// BUDGET: bytes written to one connection in one turn, so that one full pipe can't hold it.
  static let budgetBytes = 1024 * 1024
}
