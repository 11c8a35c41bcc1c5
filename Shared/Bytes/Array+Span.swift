// INVARIANTS:
// - A span is borrowed for the length of one call; no pointer leaves the closure it was lent to.
// - Counts come from the span or the array itself, never from the wire.
// - The bytes copied are trivially copyable; nothing is bound to another type.

internal import CLinux

extension Array where Element == UInt8 {
  /// Appends a copy of `span`. Cost: one memcpy, growth amortised.
  @inlinable
  public mutating func append(copying span: borrowing Span<UInt8>) {
    // SAFE BECAUSE the pointer is used only inside the closure and `append` copies from it.
    unsafe span.withUnsafeBufferPointer { unsafe self.append(contentsOf: $0) }
  }

  /// A copy of `span`.
  @inlinable
  public init(copying span: borrowing Span<UInt8>) {
    self = []
    append(copying: span)
  }
}

extension Array where Element == UInt8 {
  /// Appends an integer's bytes, the lowest first.
  @inlinable
  public mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
    append(addingCapacity: T.bitWidth / 8) { $0.append(littleEndian: value) }
  }
}

extension OutputSpan where Element == UInt8 {
  /// Appends an integer's bytes, the lowest first. There must be room for them.
  @inlinable
  public mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
    let size = T.bitWidth / 8
    precondition(freeCapacity >= size, "whoever lends the span has made room")
    unsafe withUnsafeMutableBufferPointer { buffer, count in
      guard let base = buffer.baseAddress else { return }
      // SAFE BECAUSE `size` bytes from `count` on are within the buffer, as was checked.
      unsafe UnsafeMutableRawPointer(base + count).storeBytes(of: value.littleEndian, as: T.self)
      count += size
    }
  }
}

extension Span where Element == UInt8 {
  /// The eight bytes from `index` on, the first one lowest; nil where there are fewer.
  @inlinable
  public func word(at index: Int) -> UInt64? {
    guard index >= 0, index <= count - 8 else { return nil }
    // SAFE BECAUSE eight bytes from `index` on are within the span.
    return unsafe UInt64(
      littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
  }

  /// Whether the bytes from `index` on begin with `other`.
  @inlinable
  public func holds(_ other: borrowing Span<UInt8>, at index: Int) -> Bool {
    guard index >= 0, index <= count, other.count <= count - index else { return false }
    var step = 0
    while let word = other.word(at: step) {
      guard word == self.word(at: index &+ step) else { return false }
      step &+= 8
    }
    while step < other.count {
      guard other[step] == self[index &+ step] else { return false }
      step &+= 1
    }
    return true
  }

  /// Whether no byte is above 127.
  @inlinable
  public var isASCII: Bool {
    var index = 0
    while let word = word(at: index) {
      if word & 0x8080_8080_8080_8080 != 0 { return false }
      index += 8
    }
    while index < count {
      if self[index] >= 128 { return false }
      index += 1
    }
    return true
  }
}

extension UInt64 {
  /// Whether one of the eight bytes is `byte`.
  @inlinable
  public func hasByte(_ byte: UInt8) -> Bool {
    let differences = self ^ (0x0101_0101_0101_0101 &* UInt64(byte))
    return (differences &- 0x0101_0101_0101_0101) & ~differences & 0x8080_8080_8080_8080 != 0
  }
}

extension String {
  /// The text that UTF-8 `span` spells, or nil where it is not valid UTF-8.
  @inlinable
  public init?(validating span: borrowing Span<UInt8>) {
    guard !span.isEmpty else {
      self = ""
      return
    }
    // SAFE BECAUSE the pointer is used only inside the closure and the string copies from it.
    // Most texts are ASCII, and of those the library makes a string several times faster when
    // it isn't asked to validate them.
    let isASCII = span.isASCII
    guard
      let text = unsafe span.withUnsafeBufferPointer({
        isASCII
          ? unsafe String(decoding: $0, as: UTF8.self)
          : unsafe String(validating: $0, as: UTF8.self)
      })
    else { return nil }
    self = text
  }
}

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `span`, continuing from `crc`; 0 to begin.
public func crc32c(_ span: borrowing Span<UInt8>, continuing crc: UInt32 = 0) -> UInt32 {
  // SAFE BECAUSE the C function reads exactly `count` bytes and keeps nothing.
  unsafe span.withUnsafeBufferPointer { buffer in
    guard let base = buffer.baseAddress else { return crc }
    return unsafe clinux_crc32c(crc, base, buffer.count)
  }
}

/// CRC-32C of an array; see `crc32c(_:continuing:)`.
public func crc32c(_ bytes: [UInt8], continuing crc: UInt32 = 0) -> UInt32 {
  crc32c(bytes.span, continuing: crc)
}
