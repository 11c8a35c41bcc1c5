import Bytes
import Wire

/// What a reader reported of some bytes: frames, then perhaps one error.
enum FrameEvent: Equatable {
  case frame(Kind, FrameFlags, correlation: UInt32, body: [UInt8])
  case failed(FrameError)
}

extension Sample {
  var event: FrameEvent {
    .frame(kind, flags, correlation: correlation, body: message.body)
  }
}

/// Feeds `segments` to a fresh reader as a link does: what is not taken comes again in front of the
/// next segment.
func frames(_ segments: [[UInt8]], _ checksums: Checksums) -> [FrameEvent] {
  var reader = FrameReader(checksums: checksums)
  var events: [FrameEvent] = []
  var unread: [UInt8] = []
  for segment in segments {
    unread += segment
    do throws(FrameError) {
      let taken = try reader.read(unread.span) { header, body in
        events.append(
          .frame(
            header.kind, header.flags, correlation: header.correlation,
            body: [UInt8](copying: body)))
        return true
      }
      unread.removeFirst(taken)
    } catch {
      return events + [.failed(error)]
    }
  }
  return events
}

/// SplitMix64: the whole run follows from one printed seed.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// `bytes` cut into segments of 0 to a random longest length.
  mutating func segments(of bytes: [UInt8]) -> [[UInt8]] {
    var segments: [[UInt8]] = []
    let longest = Int.random(in: 1...64, using: &self)
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + Int.random(in: 0...longest, using: &self))
      segments.append(Array(bytes[start..<end]))
      start = end
    }
    return segments
  }
}
