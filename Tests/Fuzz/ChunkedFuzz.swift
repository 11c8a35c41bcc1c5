import Bytes
import HTTPCodec

private struct Decoded: Equatable {
  var body: [UInt8] = []
  /// Bytes of the input up to the body's end; nil where it has none.
  var consumed: Int?
  var failure: HTTPError?
}

private let bodyBytesMax = 2_000

/// A chunked body and what follows it on the connection, by itself and against a plainer reader.
func fuzzChunked(_ input: [UInt8]) {
  let decoded = requireSplitInvariance(input) { [decode($0)] }[0]
  require(decoded.body.count <= bodyBytesMax, "a body over its limit")
  if let end = decoded.consumed {
    // Another reader that takes lines and counts finds the same body, and its end at the same byte:
    // nothing of what follows can be part of it for one and a request for the other.
    require(walk(input) == Walk(body: decoded.body, end: end), "a plainer reader differs")
    // It ends with its last byte, and not before.
    require(decode([Array(input[..<end])]).consumed == end, "it needs what follows")
    if end <= 512 {
      for short in 0..<end {
        let part = decode([Array(input[..<short])])
        require(part.consumed == nil && part.failure == nil, "\(short) of \(end) bytes are enough")
      }
    }
  }
  carry(input)
}

private func decode(_ segments: [[UInt8]]) -> Decoded {
  var result = Decoded()
  var before = 0
  do {
    var decoder = try HTTPBodyDecoder(.chunked, bytesMax: bodyBytesMax)
    for segment in segments {
      var offset = 0
      while let event = try decoder.next(segment.span, from: &offset) {
        switch event {
        case .bytes(let range):
          require(!range.isEmpty, "a part without bytes")
          result.body += segment[range]
        case .end:
          result.consumed = before + offset
          return result
        }
      }
      require(offset == segment.count, "bytes were left without an event")
      before += segment.count
    }
  } catch { result.failure = error }
  return result
}

private struct Walk: Equatable {
  var body: [UInt8] = []
  var end: Int
}

/// Reads a body that was accepted: lines by their LF, sizes as hexadecimal, nothing checked twice.
private func walk(_ input: [UInt8]) -> Walk? {
  var offset = 0
  func line() -> ArraySlice<UInt8>? {
    guard let feed = input[offset...].firstIndex(of: 10), feed > offset, input[feed - 1] == 13
    else { return nil }
    defer { offset = feed + 1 }
    return input[offset..<(feed - 1)]
  }
  var body: [UInt8] = []
  while true {
    guard let head = line() else { return nil }
    let digits = head.prefix { hexadecimal($0) != nil }
    guard !digits.isEmpty else { return nil }
    let size = digits.reduce(0) { ($0 << 4 | (hexadecimal($1) ?? 0)) & 0xFFFF_FFFF }
    if size == 0 { break }
    guard input.count - offset >= size + 2 else { return nil }
    body += input[offset..<(offset + size)]
    offset += size
    guard input[offset] == 13, input[offset + 1] == 10 else { return nil }
    offset += 2
  }
  while let trailer = line() {
    if trailer.isEmpty { return Walk(body: body, end: offset) }
  }
  return nil
}

private func hexadecimal(_ byte: UInt8) -> Int? {
  switch byte {
  case 0x30...0x39: Int(byte) - 0x30
  case 0x41...0x46: Int(byte) - 0x37
  case 0x61...0x66: Int(byte) - 0x57
  default: nil
  }
}

/// Any bytes that are sent in chunks come out as they were, and what follows is left alone.
private func carry(_ input: [UInt8]) {
  let body = Array(input.prefix(bodyBytesMax))
  var sent: [UInt8] = []
  for chunk in segments(of: body) where !chunk.isEmpty {
    let size = String(chunk.count, radix: 16, uppercase: chunk[0] % 2 == 0)
    let zeros = String(repeating: "0", count: Int(chunk[0] % 3))
    let name = chunk.count % 4 == 0 ? ";a=\"b;c\"" : chunk.count % 4 == 1 ? ";x" : ""
    sent += Array("\(zeros)\(size)\(name)\r\n".utf8) + chunk + [13, 10]
  }
  sent += Array("0\r\n".utf8) + (body.count % 2 == 0 ? Array("T: v\r\n".utf8) : []) + [13, 10]
  let end = sent.count
  sent += Array("GET /".utf8)
  let expected = Decoded(body: body, consumed: end, failure: nil)
  require(requireSplitInvariance(sent) { [decode($0)] } == [expected], "not what was sent")
}
