import Bytes
import Deflate
import WebSocketCodec

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Text that compresses as people's messages do.
func telling(_ count: Int) -> [UInt8] {
  var text = ""
  var number = 1
  while text.utf8.count < count {
    text += #"{"id":\#(number),"name":"cursor","x":\#(number % 977),"y":\#(number % 613)},"#
    number = number &* 48_271 % 2_147_483_647
  }
  return Array(text.utf8.prefix(count))
}

extension MessageInflater {
  /// What a whole message stands for.
  func inflate(_ message: [UInt8], bytesMax: Int = 1 << 20) throws(InflateError) -> [UInt8] {
    var output: [UInt8] = []
    try inflate(message.span, into: &output, bytesMax: bytesMax)
    return output
  }

  /// The same, its pieces one by one.
  func inflate(pieces: [[UInt8]], bytesMax: Int = 1 << 20) throws(InflateError) -> [UInt8] {
    var output: [UInt8] = []
    begin(bytesMax: bytesMax, output: output)
    for piece in pieces { try append(piece.span, into: &output) }
    try end(into: &output)
    return output
  }
}

/// The error of unfolding `message`, or nil where it has none.
func failure(of message: [UInt8], bytesMax: Int = 1 << 20) -> InflateError? {
  do {
    _ = try MessageInflater(context: .newForEachMessage).inflate(message, bytesMax: bytesMax)
    return nil
  } catch { return error }
}
