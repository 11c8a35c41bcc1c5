import Bytes
import TestKit
import WebSocketCodec

/// What a reader gave, with its error, if any, as the last one.
enum Outcome: Equatable, Sendable {
  case event(WebSocketEvent)
  case failed(WebSocketError)
}

/// Feeds the segments to a fresh reader and drains it.
func read(
  _ segments: [[UInt8]], role: WebSocketRole = .server, limits: WebSocketLimits = WebSocketLimits(),
  compression: WebSocketCompression = .none, inflate: WebSocketInflate = repeating
) -> [Outcome] {
  var reader = WebSocketReader(role: role, limits: limits, compression: compression)
  var outcomes: [Outcome] = []
  for segment in segments {
    var offset = 0
    do {
      while let event = try reader.next(segment.span, from: &offset, inflate: inflate) {
        outcomes.append(.event(event))
      }
    } catch {
      return outcomes + [.failed(error)]
    }
  }
  return outcomes
}

/// A compression that can be read by eye: a count, then what stands there that many times.
func repeating(
  _ compressed: borrowing Span<UInt8>, _ bytesMax: Int, _ output: inout [UInt8]
) throws(WebSocketError) {
  guard compressed.count > 0 else { throw .invalidCompression }
  let unit = [UInt8](copying: compressed.extracting(1..<compressed.count))
  for _ in 0..<compressed[0] { output += unit }
}

func verifier(
  role: WebSocketRole = .server, limits: WebSocketLimits = WebSocketLimits()
) -> DecoderVerifier<Outcome> {
  DecoderVerifier { read($0, role: role, limits: limits) }
}

/// A frame, masked with a fixed key when it comes from a client.
func frame(
  _ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, isCompressed: Bool = false,
  from: WebSocketRole = .client
) -> [UInt8] {
  var output: [UInt8] = []
  WebSocketFrame.append(
    opcode, payload.span, isFinal: isFinal, isCompressed: isCompressed,
    mask: from == .client ? 0x3D21_FA37 : nil, into: &output)
  return output
}

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

extension WebSocketReader {
  /// The first event of `bytes`, all of which are taken.
  mutating func feed(_ bytes: [UInt8]) throws(WebSocketError) -> WebSocketEvent? {
    var offset = 0
    let event = try next(bytes.span, from: &offset)
    if offset != bytes.count { fatalError("not all bytes were taken") }
    return event
  }
}

extension UTF8Validator {
  mutating func feed(_ bytes: [UInt8]) -> Bool { take(bytes.span) }
}
