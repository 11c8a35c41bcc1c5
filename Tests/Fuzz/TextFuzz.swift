import Bytes
import HTTPCodec
import WebSocketCodec

/// The small grammars: UTF-8 against the standard library, base64, hexadecimal, percent-encoding,
/// names and positions. What is accepted must come back unchanged.
func fuzzText(_ input: [UInt8]) {
  let text = String(validating: input, as: UTF8.self)
  checkUTF8(input, isValid: text != nil)
  require(bytes(base64: base64(input)) == input, "base64 does not come back")
  require(bytes(base64: base64URL(input)) == input, "URL base64 does not come back")
  require(bytes(hex: hex(input)) == input, "hexadecimal does not come back")
  checkCursor(input)
  guard let text else { return }
  if let decoded = bytes(base64: text) {
    require(bytes(base64: base64(decoded)) == decoded, "base64 is not stable")
  }
  if let decoded = bytes(hex: text) { require(hex(decoded) == text.lowercased(), "hexadecimal") }
  if !input.contains(0) {
    require(PercentEncoding.decode(PercentEncoding.encode(text)) == text, "percent-encoding")
  }
  if let decoded = PercentEncoding.decode(text, plus: .isSpace) {
    require(PercentEncoding.decode(PercentEncoding.encode(decoded)) == decoded, "percent-decoding")
  }
  checkField(text)
  if let name = ChannelName(text) { require(Array(name.text.utf8) == input, "a channel's alias") }
  if let position = Position(text) {
    require(Position(position.description) == position, "position")
  }
  if let authority = HTTPAuthority(text) {
    require(HTTPAuthority(authority.description) == authority, "authority")
  }
}

/// A field that the writer takes is read as that one field, whatever its value holds.
private func checkField(_ value: String) {
  var writer = HTTPHeadWriter(status: .ok, date: "D")
  guard (try? writer.field("X", value)) != nil else { return }
  let bytes = writer.end()
  var reader = HTTPResponseReader()
  var offset = 0
  let head = try? reader.next(bytes.span, from: &offset, answering: .head)
  guard let head else {
    require(value.utf8.count > 8_000, "a field that was written is refused")
    return
  }
  let blanks = { (byte: UInt8) in byte == 32 || byte == 9 }
  let start = Array(value.utf8).drop(while: blanks)
  let text = start[..<((start.lastIndex { !blanks($0) }).map { $0 + 1 } ?? start.startIndex)]
  require(head.headers.count == 2, "one field became \(head.headers.count - 1)")
  require(head.headers.first("x").map { Array($0.utf8) } == Array(text), "another value")
  require(offset == bytes.count, "bytes behind the head")
}

private func checkUTF8(_ input: [UInt8], isValid: Bool) {
  let outcomes = requireSplitInvariance(input) { segments in
    var validator = UTF8Validator()
    return [segments.allSatisfy { validator.take($0.span) } && validator.isComplete]
  }
  require(outcomes == [isValid], "the standard library says \(isValid)")
}

/// Reads as the input itself says; every read either moves the cursor or throws and leaves it.
private func checkCursor(_ input: [UInt8]) {
  var cursor = ByteCursor(input.span)
  while !cursor.isAtEnd {
    let before = cursor.offset
    do {
      switch input[before] & 7 {
      case 0: _ = try cursor.u8(input.span)
      case 1: _ = try cursor.u16(input.span)
      case 2: _ = try cursor.u32(input.span)
      case 3: _ = try cursor.u64(input.span)
      case 4: _ = try cursor.bytes32(input.span)
      case 5: _ = try cursor.text16(input.span)
      case 6: _ = try cursor.range32(input.span)
      default: _ = try cursor.range(Int(input[before]))
      }
      require(cursor.offset > before && cursor.offset <= input.count, "the cursor did not advance")
    } catch {
      require(cursor.offset == before, "a failed read moved the cursor")
      return
    }
  }
}
