// INVARIANTS:
// - Every load and store lies within the buffer lent to the closure; the loops stop eight bytes
//   before its end and finish byte by byte.
// - Offsets come from the array or the span itself, never from the wire.
// - No pointer leaves the closure it was lent to. Loads and stores are unaligned on purpose.

/// Applies masking key `key` to `bytes[start...]` in place (RFC 6455 §5.3), eight bytes a step.
///
/// The least significant byte of `key` meets `bytes[start]`.
func applyMask(_ key: UInt32, to bytes: inout [UInt8], from start: Int) {
  guard key != 0 else { return }
  let wide = UInt64(key) | UInt64(key) << 32
  // SAFE BECAUSE `index + 8 <= count` holds at every load and store, and `index >= start >= 0`.
  unsafe bytes.withUnsafeMutableBytes { buffer in
    let count = buffer.count
    var index = start
    while index &+ 8 <= count {
      let word = unsafe buffer.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      unsafe buffer.storeBytes(of: word ^ wide.littleEndian, toByteOffset: index, as: UInt64.self)
      index &+= 8
    }
    var rest = key
    while index < count {
      unsafe buffer[index] ^= UInt8(truncatingIfNeeded: rest)
      rest = rest >> 8 | rest << 24
      index &+= 1
    }
  }
}

/// The masking key as it meets the byte `count` places further on.
func rotate(_ key: UInt32, by count: Int) -> UInt32 {
  let shift = UInt32(truncatingIfNeeded: count & 3) &* 8
  return shift == 0 ? key : key >> shift | key << (32 &- shift)
}

/// The first offset at or behind `start` that may hold a byte over 127, in steps of eight bytes.
func skipASCII(_ span: borrowing Span<UInt8>, from start: Int) -> Int {
  // SAFE BECAUSE `index + 8 <= count` holds at every load, and `index >= start >= 0`.
  unsafe span.withUnsafeBufferPointer { buffer in
    let raw = UnsafeRawBufferPointer(buffer)
    var index = start
    while index &+ 8 <= raw.count {
      let word = unsafe raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      if word & 0x8080_8080_8080_8080 != 0 { break }
      index &+= 8
    }
    return index
  }
}
