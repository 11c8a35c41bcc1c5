/// Why bytes are not the JSON that was asked for, and where.
///
/// `offset` counts bytes from 0; `line` and `column` count from 1, columns in bytes. The text
/// itself is never part of the error, so it can be logged and sent back.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Reason: String, Sendable, CaseIterable {
    case unexpectedEnd = "the text ends too early"
    case unexpectedByte = "this can't stand here"
    case trailingBytes = "something follows the value"
    case tooDeep = "nested deeper than 64 levels"
    case invalidUTF8 = "not valid UTF-8"
    case invalidEscape = "not an escape that JSON knows"
    case loneSurrogate = "half of a surrogate pair"
    case controlCharacter = "a control character has to be escaped"
    case invalidNumber = "not a number as JSON writes them"
    case duplicateKey = "a key of this object stands twice"
    case notAnObject = "an object is needed here"
    case notAnArray = "an array is needed here"
  }

  public let reason: Reason
  public let offset: Int
  public let line: Int
  public let column: Int

  /// Finds line and column by reading `span` up to `offset`; only ever done once per refusal.
  @inline(never)
  init(_ reason: Reason, at offset: Int, in span: borrowing Span<UInt8>) {
    self.reason = reason
    self.offset = offset
    var line = 1
    var lineStart = 0
    for index in 0..<min(offset, span.count) where span[index] == UInt8(ascii: "\n") {
      line += 1
      lineStart = index + 1
    }
    self.line = line
    column = offset - lineStart + 1
  }

  public var description: String { "line \(line), column \(column): \(reason.rawValue)" }
}
