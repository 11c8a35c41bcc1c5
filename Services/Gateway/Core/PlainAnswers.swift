internal import Bytes
internal import HTTPCodec

/// 200 with JSON to a request that asks for nothing beside it: what back ends are answered thousands
/// of times a second. What such answers share is made once a second and copied.
///
/// INVARIANT: the same bytes as those of `Response` with what every answer says.
final class PlainAnswers {
  private var second = -1
  /// All up to the request's id.
  private var head: [UInt8] = []

  /// - Parameter strict: `Strict-Transport-Security`, for answers by TLS; taken over once a second.
  /// - Parameter length: of the body, which the caller appends behind this.
  func appendHead(
    _ id: RequestID, length: Int, second: Int, strict: String?, to bytes: inout [UInt8]
  ) {
    if second != self.second {
      self.second = second
      head = Self.head(HTTPDate.text(secondsSince1970: second), strict)
    }
    bytes.append(contentsOf: head)
    id.append(to: &bytes)
    bytes.append(contentsOf: Self.length)
    Encoding.append(UInt64(length), to: &bytes)
    bytes.append(contentsOf: Self.end)
  }

  private static let length = [UInt8]("\r\nContent-Length: ".utf8)
  private static let end = [UInt8]("\r\n\r\n".utf8)

  private static func head(_ date: String, _ strict: String?) -> [UInt8] {
    var text = "HTTP/1.1 200 OK\r\nDate: \(date)\r\nContent-Type: application/json\r\nVary: Origin\r\n"
    if let strict { text += "Strict-Transport-Security: \(strict)\r\n" }
    return [UInt8]("\(text)\(RequestID.field): ".utf8)
  }
}
