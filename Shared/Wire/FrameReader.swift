internal import Bytes

/// Takes frames out of a byte stream.
///
///     whole frame in the input ──▶ handed on in place, nothing copied
///     part of a frame          ──▶ collected here; grows only as bytes arrive
///
/// A header is judged before a byte of its body is kept. After an error the reader must be dropped.
/// Pure: no socket, no clock.
public struct FrameReader {
  private var collected: [UInt8] = []
  private var wanted = 0
  private let checksums: Checksums

  public init(checksums: Checksums) { self.checksums = checksums }

  /// Hands each whole frame to `handle` (header, body) and returns how many bytes were taken:
  /// all of them, or all but a header that is not complete. Frames of a kind that is unknown and
  /// may be ignored are skipped. `handle` returns whether to go on with the next frame.
  public mutating func read(
    _ input: borrowing Span<UInt8>,
    _ handle: (FrameHeader, borrowing Span<UInt8>) throws(FrameError) -> Bool
  ) throws(FrameError) -> Int {
    var offset = 0
    if wanted > 0 {
      let part = min(wanted - collected.count, input.count)
      collected.append(copying: input.extracting(0..<part))
      offset = part
      guard collected.count == wanted else { return offset }
      var frame: [UInt8] = []
      swap(&frame, &collected)
      wanted = 0
      guard try deliver(frame.span, handle) else { return offset }
    }
    while input.count - offset >= FrameHeader.bytes {
      let total = try Self.frameBytes(input, at: offset)
      if input.count - offset < total {
        wanted = total
        collected = [UInt8](copying: input.extracting(offset..<input.count))
        return input.count
      }
      let goOn = try deliver(input.extracting(offset..<(offset + total)), handle)
      offset += total
      guard goOn else { return offset }
    }
    return offset
  }

  /// The bytes of the frame whose header stands at `offset`, header included.
  private static func frameBytes(_ input: borrowing Span<UInt8>, at offset: Int)
    throws(FrameError) -> Int
  {
    var cursor = ByteCursor(from: offset, to: input.count)
    let (length, kind, flags): (UInt32, UInt16, UInt16)
    do throws(ByteError) {
      length = try cursor.u32(input)
      kind = try cursor.u16(input)
      flags = try cursor.u16(input)
    } catch { return FrameHeader.bytes }
    guard FrameFlags(rawValue: flags).isSubset(of: .known) else { throw .reservedFlags(flags) }
    guard let known = Kind(rawValue: kind) else {
      guard FrameFlags(rawValue: flags).contains(.mayIgnore),
        length <= UInt32(Limits.smallBodyBytesMax)
      else { throw .unknownKind(kind) }
      return FrameHeader.bytes + Int(length)
    }
    guard Int(length) <= known.bodyBytesMax else {
      throw .bodyTooLong(kind: known, length: Int(length))
    }
    return FrameHeader.bytes + Int(length)
  }

  private func deliver(
    _ frame: borrowing Span<UInt8>,
    _ handle: (FrameHeader, borrowing Span<UInt8>) throws(FrameError) -> Bool
  ) throws(FrameError) -> Bool {
    // Before the kind is looked at: a damaged kind may not turn a frame into one that is skipped.
    if checksums == .crc32c, frameChecksum(frame) != Self.checksum(frame) {
      throw .checksumMismatch
    }
    guard let header = Self.header(frame) else { return true }
    return try handle(header, frame.extracting(FrameHeader.bytes..<frame.count))
  }

  /// The checksum field of a whole frame.
  private static func checksum(_ frame: borrowing Span<UInt8>) -> UInt32? {
    var cursor = ByteCursor(from: 12, to: FrameHeader.bytes)
    return try? cursor.u32(frame)
  }

  /// The header at the start of `frame`; nil for a kind that is unknown and may be ignored.
  private static func header(_ frame: borrowing Span<UInt8>) -> FrameHeader? {
    var cursor = ByteCursor(frame)
    do throws(ByteError) {
      let length = Int(try cursor.u32(frame))
      guard let kind = Kind(rawValue: try cursor.u16(frame)) else { return nil }
      let flags = FrameFlags(rawValue: try cursor.u16(frame))
      let correlation = try cursor.u32(frame)
      return FrameHeader(
        length: length, kind: kind, flags: flags, correlation: correlation,
        checksum: try cursor.u32(frame))
    } catch { return nil }
  }
}
