public import JSON

/// What a back end answers, in Centrifugo's shapes. Pure.
///
///     {"result": {…}}
///     {"error": {"code": 1000, "message": "…", "temporary": false}}
///     {"disconnect": {"code": 4500, "reason": "…"}}
public enum HookAnswer: Equatable, Sendable {
  case result(JSONObject)
  /// What was asked for is refused. Codes are 100 to 1999.
  case error(code: Int, message: String, isTemporary: Bool)
  /// The client is to go. Codes are 4000 to 4999; those from 4500 on say not to come back.
  case disconnect(code: UInt16, reason: String)

  /// BUDGET: bytes of an error's message, and of a reason to go, which a close frame has room for.
  static let messageBytesMax = 512
  static let reasonBytesMax = 120

  /// - Errors: `malformed` for what is none of these; an answer that says nothing is no permission.
  public init(_ body: [UInt8]) throws(HookFailure) {
    guard let object = (try? JSONValue.parse(body.span))?.object else {
      throw .malformed(reason: "it is no JSON object")
    }
    if let disconnect = object["disconnect"]?.object {
      guard let code = disconnect["code"]?.int, (4_000...4_999).contains(code) else {
        throw .malformed(reason: "the code of a disconnect is 4000 to 4999")
      }
      let reason = disconnect["reason"]?.string ?? ""
      self = .disconnect(code: UInt16(code), reason: Self.cut(reason, to: Self.reasonBytesMax))
    } else if let error = object["error"]?.object {
      guard let code = error["code"]?.int, (100...1_999).contains(code) else {
        throw .malformed(reason: "the code of an error is 100 to 1999")
      }
      let message = error["message"]?.string ?? ""
      self = .error(
        code: Int(code), message: Self.cut(message, to: Self.messageBytesMax),
        isTemporary: error["temporary"] == .bool(true))
    } else if let result = object["result"]?.object {
      self = .result(result)
    } else {
      throw .malformed(reason: "it has none of result, error and disconnect")
    }
  }

  /// The longest beginning of whole characters that fits.
  private static func cut(_ text: String, to bytesMax: Int) -> String {
    guard text.utf8.count > bytesMax else { return text }
    var kept = ""
    var bytes = 0
    for character in text {
      bytes += character.utf8.count
      guard bytes <= bytesMax else { break }
      kept.append(character)
    }
    return kept
  }
}
