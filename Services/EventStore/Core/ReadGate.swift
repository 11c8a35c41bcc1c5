internal import Platform

/// Reads of one link that wait until its peer has taken the pages before them. Pure.
///
/// A reply can't be refused, so a peer that asks faster than it reads would fill the link's queue
/// until nothing but closing it is left; its reads wait here instead, in order.
struct ReadGate<Read> {
  /// BUDGET: bytes of pages on their way to one peer: asked of the reader, or queued on the link.
  static var bytesMax: Int { 16 << 20 }
  /// BUDGET: reads of one link that wait here; one more is `overloaded`.
  static var waitingMax: Int { 4_096 }

  private struct Waiting {
    let read: Read
    let bytes: Int
    let deadline: Instant
  }

  /// Asked of the reader and not answered yet.
  private var underWay = 0
  private var waiting: [Waiting] = []

  var isEmpty: Bool { waiting.isEmpty }
  var isUnused: Bool { waiting.isEmpty && underWay == 0 }

  /// Puts a read behind those that wait; false if too many do.
  mutating func add(_ read: Read, bytes: Int, until deadline: Instant) -> Bool {
    guard waiting.count < Self.waitingMax else { return false }
    waiting.append(Waiting(read: read, bytes: bytes, deadline: deadline))
    return true
  }

  enum Step {
    /// To be answered with a page of so many bytes at most, for which `answered` is owed.
    case start(Read, bytes: Int)
    /// Nobody waits for it any more.
    case expired(Read)
  }

  /// The next thing to do, given what is queued on the link; nil while the rest has to wait.
  mutating func next(queued: Int, _ now: Instant) -> Step? {
    guard let first = waiting.first else { return nil }
    if first.deadline <= now {
      waiting.removeFirst()
      return .expired(first.read)
    }
    let before = underWay + queued
    guard before == 0 || before + first.bytes <= Self.bytesMax else { return nil }
    waiting.removeFirst()
    underWay += first.bytes
    return .start(first.read, bytes: first.bytes)
  }

  mutating func answered(bytes: Int) { underWay -= bytes }
}
