/// What a read past the end, or of text that is not UTF-8, throws.
public enum ByteError: Error, Equatable, Sendable {
  case truncated
  case invalidText
  /// A number or text outside what its field may hold.
  case invalidValue
}

/// A position in bytes that are passed to each read; integers are little-endian.
///
/// Keeps no reference to the bytes, so it can be stored. Every read checks its bounds and leaves
/// the position where it was when it throws.
public struct ByteCursor: Equatable, Sendable {
  @usableFromInline var position: Int
  @inlinable public var offset: Int { position }
  /// The first offset that may not be read.
  public let end: Int

  @inlinable public init(_ span: borrowing Span<UInt8>) {
    self.init(from: 0, to: span.count)
  }

  /// A cursor over `start ..< end` of the bytes that will be passed.
  @inlinable public init(from start: Int, to end: Int) {
    precondition(start >= 0 && start <= end, "a cursor's range runs forwards")
    position = start
    self.end = end
  }

  @inlinable public var remaining: Int { end - offset }
  @inlinable public var isAtEnd: Bool { offset == end }

  @inlinable public mutating func u8(_ s: borrowing Span<UInt8>) throws(ByteError) -> UInt8 {
    guard remaining >= 1 else { throw .truncated }
    let value = s[offset]
    position += 1
    return value
  }

  @inlinable public mutating func u16(_ s: borrowing Span<UInt8>) throws(ByteError) -> UInt16 {
    guard remaining >= 2 else { throw .truncated }
    let value = UInt16(s[offset]) | UInt16(s[offset + 1]) << 8
    position += 2
    return value
  }

  @inlinable public mutating func u32(_ s: borrowing Span<UInt8>) throws(ByteError) -> UInt32 {
    guard remaining >= 4 else { throw .truncated }
    if let word = s.word(at: offset) {
      position += 4
      return UInt32(truncatingIfNeeded: word)
    }
    let low = UInt32(s[offset]) | UInt32(s[offset + 1]) << 8
    let high = UInt32(s[offset + 2]) | UInt32(s[offset + 3]) << 8
    position += 4
    return low | high << 16
  }

  @inlinable public mutating func u64(_ s: borrowing Span<UInt8>) throws(ByteError) -> UInt64 {
    guard remaining >= 8, let word = s.word(at: offset) else { throw .truncated }
    position += 8
    return word
  }

  @inlinable public mutating func i64(_ s: borrowing Span<UInt8>) throws(ByteError) -> Int64 {
    Int64(bitPattern: try u64(s))
  }

  /// The range of the next `count` bytes, without copying them.
  @inlinable public mutating func range(_ count: Int) throws(ByteError) -> Range<Int> {
    guard count >= 0, remaining >= count else { throw .truncated }
    let range = offset..<(offset + count)
    position += count
    return range
  }

  /// The range of bytes that a `u32` count announces.
  @inlinable
  public mutating func range32(_ s: borrowing Span<UInt8>) throws(ByteError) -> Range<Int> {
    let before = offset
    let count = Int(try u32(s))
    guard remaining >= count else {
      position = before
      throw .truncated
    }
    return try range(count)
  }

  /// A copy of the bytes that a `u32` count announces.
  @inlinable public mutating func bytes32(_ s: borrowing Span<UInt8>) throws(ByteError) -> [UInt8] {
    [UInt8](copying: s.extracting(try range32(s)))
  }

  /// The range of bytes that a `u16` count announces.
  @inlinable public mutating func range16(_ s: borrowing Span<UInt8>) throws(ByteError)
    -> Range<Int>
  {
    let before = offset
    let count = Int(try u16(s))
    guard remaining >= count else {
      position = before
      throw .truncated
    }
    return try range(count)
  }

  /// Text that a `u16` count announces.
  public mutating func text16(_ s: borrowing Span<UInt8>) throws(ByteError) -> String {
    let before = offset
    let announced = try range16(s)
    guard let text = String(validating: s.extracting(announced)) else {
      position = before
      throw .invalidText
    }
    return text
  }
}
