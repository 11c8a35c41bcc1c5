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
