internal import Bytes

/// Finds the end of a head in bytes that come in pieces, and where its lines end; looks at every
/// byte once.
///
/// Refuses at the first byte that is wrong: a line feed or carriage return by itself, a control
/// byte, a folded line, or one byte more than a limit. So the error does not depend on how the
/// bytes arrived.
struct HTTPHeadScanner: Sendable {
  /// A whole head: its bytes, and the offset behind the last byte of each line but the empty one.
  struct Head {
    var bytes: [UInt8]
    var lineEnds: [Int]
  }

  private let limits: HTTPLimits
  /// What a start line that is too long is called: a request's target is to blame.
  private let startLineError: HTTPError
  private var held: [UInt8] = []
  private var lineEnds: [Int] = []
  /// Bytes of the head before the line that is being read.
  private var lineStart = 0
  private var isBehindCarriageReturn = false
  /// Bytes looked at since the beginning of the connection; equal to the bytes of all heads.
  private(set) var examinedBytes = 0

  init(limits: HTTPLimits, startLineError: HTTPError) {
    self.limits = limits
    self.startLineError = startLineError
  }

  /// Whether nothing of a head has come.
  var isEmpty: Bool { held.isEmpty }

  /// Takes bytes of `input` from `offset` on, up to the end of the head, or all of them.
  mutating func next(
    _ input: borrowing Span<UInt8>, from offset: inout Int
  ) throws(HTTPError) -> Head? {
    let start = offset
    let before = held.count
    let (end, isWhole) = try scan(input, start, before)
    examinedBytes += end - start
    held.append(copying: input.extracting(start..<end))
    offset = end
    guard isWhole else { return nil }
    let head = Head(bytes: held, lineEnds: lineEnds)
    held = []
    lineEnds = []
    lineStart = 0
    return head
  }

  /// The input's offset behind what belongs to this head, and whether that is all of it.
  private mutating func scan(
    _ input: borrowing Span<UInt8>, _ start: Int, _ before: Int
  ) throws(HTTPError) -> (end: Int, isWhole: Bool) {
    // What to add to an index of `input` to have one of the head.
    let shift = before - start
    let capacity = limits.headBytesMax - shift
    var index = start
    while index < input.count {
      if index &+ shift == lineStart { try checkLineStart(input[index]) }
      let lineLimit = (lineEnds.isEmpty ? startLineMax : limits.fieldBytesMax) + lineStart - shift
      let stop = min(input.count, capacity, lineLimit)
      if !isBehindCarriageReturn {
        while index < stop &- 7, let word = input.word(at: index), Self.isPlain(word) { index &+= 8 }
        while index < stop, !ByteClass.isControl(input[index]) { index &+= 1 }
      }
      guard index < input.count else { break }
      guard index < capacity else { throw .headTooLarge }
      let byte = input[index]
      if byte == 13, !isBehindCarriageReturn, index &+ 1 < min(input.count, capacity),
        input[index &+ 1] == 10
      {
        index &+= 2
        if try endLine(at: index &+ shift) { return (index, true) }
        continue
      }
      let isAtEnd = try take(byte, at: index &+ shift, overLine: index >= lineLimit)
      index &+= 1
      if isAtEnd { return (index, true) }
    }
    return (index, false)
  }

  /// Whether none of eight bytes is a control byte. Above one that is, others may seem to be.
  private static func isPlain(_ word: UInt64) -> Bool {
    let belowSpace = (word &- 0x2020_2020_2020_2020) & ~word
    let difference = word ^ 0x7F7F_7F7F_7F7F_7F7F
    let isDelete = (difference &- 0x0101_0101_0101_0101) & ~difference
    return (belowSpace | isDelete) & 0x8080_8080_8080_8080 == 0
  }

  private func checkLineStart(_ byte: UInt8) throws(HTTPError) {
    guard !lineEnds.isEmpty, byte != 13 else { return }
    guard byte != 32, byte != 9 else { throw .obsoleteFold }
    guard lineEnds.count <= limits.fieldsMax else { throw .tooManyFields }
  }

  private var startLineMax: Int { limits.targetBytesMax + HTTPLimits.startLineSlack }

  /// Takes the end of a line, behind whose two bytes `next` stands; true when it ends the head.
  private mutating func endLine(at next: Int) throws(HTTPError) -> Bool {
    if next - 2 == lineStart {
      guard !lineEnds.isEmpty else { throw .malformedRequestLine }
      return true
    }
    // Room for what clients commonly send, so that it grows in one step.
    if lineEnds.isEmpty { lineEnds.reserveCapacity(16) }
    lineEnds.append(next - 2)
    lineStart = next
    return false
  }

  /// Takes a byte that is not plain text or stands at a limit; true when it ends the head.
  private mutating func take(
    _ byte: UInt8, at position: Int, overLine: Bool
  ) throws(HTTPError) -> Bool {
    if isBehindCarriageReturn {
      guard byte == 10 else { throw .bareCarriageReturn }
      isBehindCarriageReturn = false
      return try endLine(at: position + 1)
    }
    switch byte {
    case 13: isBehindCarriageReturn = true
    case 10: throw .bareLineFeed
    case _ where overLine: throw lineEnds.isEmpty ? startLineError : .fieldTooLong
    case 9: break
    default: throw .controlByte
    }
    return false
  }
}
