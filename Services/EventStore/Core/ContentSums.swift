internal import Bytes

/// A CRC-32C of each block of a content, so that a part of it can be checked without the whole.
///
/// Made from the bytes in order. On disk, little-endian: `SVS1`, the blocks' bytes (u32), the
/// content's size (u64), a sum for each block (u32), and the CRC-32C of all that (u32). Tells
/// accidents, not attackers: whoever can change one file can change both. Pure.
struct ContentSums: Equatable {
  private(set) var size: UInt64 = 0
  /// Of the whole blocks, in order.
  private var whole: [UInt32] = []
  /// Of the block that is not whole yet.
  private var last: UInt32 = 0

  static let blockBytes = 64 * 1024
  private static let magic = [UInt8]("SVS1".utf8)
  /// BUDGET: what the sums of a content of 64 GiB take; those of a larger one are not read.
  static let encodedBytesMax = 4 << 20 | 64

  init() {}

  /// The next bytes of the content.
  mutating func update(_ bytes: [UInt8]) {
    var offset = 0
    while offset < bytes.count {
      let room = Self.blockBytes - Int(size % UInt64(Self.blockBytes))
      let count = min(room, bytes.count - offset)
      last = crc32c(bytes.span.extracting(offset..<(offset + count)), continuing: last)
      size += UInt64(count)
      offset += count
      guard count == room else { continue }
      whole.append(last)
      last = 0
    }
  }

  private var sums: [UInt32] {
    size % UInt64(Self.blockBytes) == 0 ? whole : whole + [last]
  }

  var encoded: [UInt8] {
    var writer = ByteWriter(reserving: 20 + whole.count * 4 + 8)
    writer.raw(Self.magic)
    writer.u32(UInt32(Self.blockBytes))
    writer.u64(size)
    for sum in sums { writer.u32(sum) }
    writer.u32(crc32c(writer.bytes))
    return writer.bytes
  }

  /// Nil where these are no sums, or damaged ones.
  init?(encoded: [UInt8]) {
    guard encoded.count >= 20, encoded.starts(with: Self.magic) else { return nil }
    let span = encoded.span
    var cursor = ByteCursor(from: 4, to: encoded.count)
    do throws(ByteError) {
      guard try cursor.u32(span) == UInt32(Self.blockBytes) else { return nil }
      size = try cursor.u64(span)
      for _ in 0..<((encoded.count - 20) / 4) { whole.append(try cursor.u32(span)) }
      let check = try cursor.u32(span)
      guard cursor.isAtEnd, check == crc32c(span.extracting(0..<(encoded.count - 4))) else {
        return nil
      }
    } catch {
      return nil
    }
    let block = UInt64(Self.blockBytes)
    guard UInt64(whole.count) == size / block + (size % block == 0 ? 0 : 1) else { return nil }
    if size % block != 0 { last = whole.removeLast() }
  }

  /// The bytes of the whole blocks that `count` bytes from `offset` on lie in, within the content.
  func blocks(around offset: UInt64, count: Int) -> Range<UInt64> {
    let block = UInt64(Self.blockBytes)
    let start = min(offset, size) / block * block
    let wanted = min(offset, size) + min(UInt64(clamping: count), size - min(offset, size))
    let end = wanted % block == 0 ? wanted : min(size, wanted / block * block + block)
    return start..<max(start, end)
  }

  /// Whether `bytes`, from the beginning of a block on and up to the end of one, are the content's.
  func match(_ bytes: [UInt8], at offset: UInt64) -> Bool {
    let sums = sums
    var index = Int(clamping: offset / UInt64(Self.blockBytes))
    var start = 0
    while start < bytes.count {
      let end = min(start + Self.blockBytes, bytes.count)
      guard index < sums.count, crc32c(bytes.span.extracting(start..<end)) == sums[index] else {
        return false
      }
      index += 1
      start = end
    }
    return true
  }
}
