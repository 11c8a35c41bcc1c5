// Every call into zlib stands here; the rest of the module is safe code.
//
// INVARIANTS:
// - A stream stays at the address it was allocated at: zlib keeps a pointer back to it.
// - It has one owner, which ends and deallocates it in `deinit` and nowhere else.
// - `next_in` and `next_out` are set before each call, from buffers that outlive the call, with
//   their own counts; zlib keeps neither behind it.
// - The counter of what a stream holds lives as long as the stream.
// - A span or array lends its pointer for the length of one call; no pointer leaves the closure.

internal import Bytes
internal import CZlib

/// The version of the library in use, such as `1.2.13`.
public enum DeflateLibrary {
  public static var version: String {
    // SAFE BECAUSE the call returns a string that ends in zero and is never freed.
    unsafe String(cString: zlibVersion())
  }
}

/// Bytes that one call of zlib may write before they are copied to where they belong.
private let chunkBytes = 4_096

/// A compressor of zlib.
@safe
struct DeflateStream: ~Copyable {
  /// What stands around the compressed blocks.
  enum Wrapping {
    case none
    /// RFC 1950.
    case zlib
    /// RFC 1952.
    case gzip
  }

  private let stream: UnsafeMutablePointer<z_stream>
  private let held: UnsafeMutablePointer<Int>

  init(level: Int32, windowBits: Int32, memoryLevel: Int32, _ wrapping: Wrapping = .none) {
    // How zlib is told (zlib.h at `deflateInit2`).
    let bits =
      switch wrapping {
      case .none: -windowBits
      case .zlib: windowBits
      case .gzip: windowBits + 16
      }
    // SAFE BECAUSE all fields are zero or null, as zlib wants them, and both live until `deinit`.
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    unsafe held = .allocate(capacity: 1)
    unsafe held.initialize(to: MemoryLayout<z_stream>.size)
    let result = unsafe czlib_deflate_init(stream, held, level, bits, memoryLevel)
    precondition(result == Z_OK, "zlib has no memory for a compressor")
  }

  /// Bytes that zlib has allocated for this stream.
  var heldBytes: Int {
    // SAFE BECAUSE the counter lives until `deinit`.
    unsafe held.pointee
  }

  /// Forgets what was compressed before.
  mutating func reset() {
    // SAFE BECAUSE the stream was initialised and is not ended before `deinit`.
    let result = unsafe deflateReset(stream)
    precondition(result == Z_OK, "zlib failed to reset a compressor")
  }

  /// Appends all of `input`, compressed and flushed to a byte (`Z_SYNC_FLUSH`), to `output`.
  mutating func flush(_ input: borrowing Span<UInt8>, into output: inout [UInt8]) {
    compress(input, endingWith: Z_SYNC_FLUSH, &output)
  }

  /// Appends all of `input`, compressed, and the end of the stream; `reset` begins another one.
  mutating func finish(_ input: borrowing Span<UInt8>, into output: inout [UInt8]) {
    compress(input, endingWith: Z_FINISH, &output)
  }

  private mutating func compress(
    _ input: borrowing Span<UInt8>, endingWith last: Int32, _ output: inout [UInt8]
  ) {
    var start = 0
    // zlib counts input in 32 bits.
    repeat {
      let end = min(input.count, start + 1 << 30)
      compress(input.extracting(start..<end), end == input.count ? last : Z_NO_FLUSH, &output)
      start = end
    } while start < input.count
  }

  private mutating func compress(
    _ piece: borrowing Span<UInt8>, _ flush: Int32, _ output: inout [UInt8]
  ) {
    // SAFE BECAUSE zlib reads at most `avail_in` of the piece and writes at most `avail_out` of the
    // chunk; both live until the closure ends.
    unsafe piece.withUnsafeBufferPointer { input in
      unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: chunkBytes) { chunk in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(truncatingIfNeeded: input.count)
        repeat {
          unsafe stream.pointee.next_out = chunk.baseAddress
          unsafe stream.pointee.avail_out = UInt32(chunkBytes)
          let result = unsafe deflate(stream, flush)
          // A chunk that was filled to its last byte is followed by a call with nothing left to do.
          precondition(
            result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END,
            "zlib failed to compress")
          let count = unsafe chunkBytes - Int(stream.pointee.avail_out)
          unsafe output.append(contentsOf: UnsafeBufferPointer(rebasing: chunk[..<count]))
        } while unsafe stream.pointee.avail_out == 0
      }
    }
  }

  deinit {
    // SAFE BECAUSE this value is the stream's only owner and is gone after this.
    unsafe deflateEnd(stream)
    unsafe stream.deinitialize(count: 1)
    unsafe stream.deallocate()
    unsafe held.deallocate()
  }
}

/// A raw decompressor of zlib.
@safe
struct InflateStream: ~Copyable {
  /// How a call ended.
  enum Outcome: Equatable {
    /// All input was taken, and everything it stands for was written.
    case takenAll
    /// A last block ended, perhaps before the input did.
    case endOfStream
    /// The limit was reached, and there would be more.
    case tooMuch
    case corrupt
  }

  private let stream: UnsafeMutablePointer<z_stream>
  private let held: UnsafeMutablePointer<Int>

  init(windowBits: Int32) {
    // SAFE BECAUSE all fields are zero or null, as zlib wants them, and both live until `deinit`.
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    unsafe held = .allocate(capacity: 1)
    unsafe held.initialize(to: MemoryLayout<z_stream>.size)
    let result = unsafe czlib_inflate_init(stream, held, windowBits)
    precondition(result == Z_OK, "zlib has no memory for a decompressor")
  }

  /// Bytes that zlib has allocated for this stream.
  var heldBytes: Int {
    // SAFE BECAUSE the counter lives until `deinit`.
    unsafe held.pointee
  }

  /// Whether what was taken ends behind a block, at a whole byte.
  var isBetweenBlocks: Bool {
    // SAFE BECAUSE it only reads. 128: at the start of a block; 64: the block behind is the last;
    // the bits below: how many bits of the last byte are left (zlib.h at `inflate`).
    unsafe stream.pointee.data_type & 0xFF == 128
  }

  /// Begins a new stream; the window is forgotten.
  mutating func reset() {
    // SAFE BECAUSE the stream was initialised and is not ended before `deinit`.
    let result = unsafe inflateReset(stream)
    precondition(result == Z_OK, "zlib failed to reset a decompressor")
  }

  /// Begins a new stream behind a last block; what was unfolded before can still be referred to.
  mutating func resetKeepingWindow() {
    // SAFE BECAUSE the stream was initialised and is not ended before `deinit`.
    let result = unsafe inflateResetKeep(stream)
    precondition(result == Z_OK, "zlib failed to reset a decompressor")
  }

  /// Takes `input` from `start` on and appends what it stands for, until `output` has `countMax`
  /// bytes. `start` moves behind what was taken.
  mutating func inflate(
    _ input: borrowing Span<UInt8>, from start: inout Int, into output: inout [UInt8],
    countMax: Int
  ) -> Outcome {
    var outcome = Outcome.takenAll
    while start < input.count, outcome == .takenAll {
      let end = min(input.count, start + 1 << 30)
      var taken = 0
      outcome = inflate(input.extracting(start..<end), &taken, &output, countMax)
      start += taken
    }
    return outcome
  }

  private mutating func inflate(
    _ piece: borrowing Span<UInt8>, _ taken: inout Int, _ output: inout [UInt8], _ countMax: Int
  ) -> Outcome {
    // SAFE BECAUSE zlib reads at most `avail_in` of the piece and writes at most `avail_out` of the
    // chunk; both live until the closure ends.
    unsafe piece.withUnsafeBufferPointer { input in
      unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: chunkBytes) { chunk in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(truncatingIfNeeded: input.count)
        defer { taken = unsafe input.count - Int(stream.pointee.avail_in) }
        while true {
          // One byte over the limit tells whether there would be more.
          let room = max(0, min(chunkBytes, countMax - output.count + 1))
          if room == 0 { return .tooMuch }
          unsafe stream.pointee.next_out = chunk.baseAddress
          unsafe stream.pointee.avail_out = UInt32(truncatingIfNeeded: room)
          let result = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
          let left = unsafe Int(stream.pointee.avail_out)
          unsafe output.append(contentsOf: UnsafeBufferPointer(rebasing: chunk[..<(room - left)]))
          if output.count > countMax { return .tooMuch }
          switch result {
          case Z_STREAM_END: return .endOfStream
          // Z_BUF_ERROR: nothing was left to do.
          case Z_OK, Z_BUF_ERROR: if left > 0 { return .takenAll }
          case Z_MEM_ERROR: preconditionFailure("zlib has no memory for a window")
          default: return .corrupt
          }
        }
      }
    }
  }

  deinit {
    // SAFE BECAUSE this value is the stream's only owner and is gone after this.
    unsafe inflateEnd(stream)
    unsafe stream.deinitialize(count: 1)
    unsafe stream.deallocate()
    unsafe held.deallocate()
  }
}
