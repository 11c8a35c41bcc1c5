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

extension String {
  /// The text that UTF-8 `span` spells, or nil where it is not valid UTF-8.
  @inlinable
  public init?(validating span: borrowing Span<UInt8>) {
    // SAFE BECAUSE the pointer is used only inside the closure and the string copies from it.
    guard
      let text = unsafe span.withUnsafeBufferPointer({
        unsafe String(validating: $0, as: UTF8.self)
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
