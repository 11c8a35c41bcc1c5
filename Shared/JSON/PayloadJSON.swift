public import Bytes

/// How a payload stands in JSON, and which payload a JSON value is: one rule for every door.
///
/// | payload | member of an envelope |
/// |---|---|
/// | json | `"data":` its very bytes |
/// | text | `"data":` a JSON string of its characters |
/// | unchecked text | `"data":` a valid JSON object or array as it is, else a JSON string |
/// | binary | `"b64data":` a JSON string, standard base64 with padding |
/// | json+parts | refused: no envelope of this version carries attachments |
public enum PayloadJSON {
  public enum Refusal: Error, Hashable, Sendable {
    /// Attachments have no place in this envelope.
    case partsNotCarried
    /// `b64data` has to be a JSON string of base64.
    case invalidBase64
  }

  /// Appends the member `data` or `b64data` to the object that `writer` is in.
  ///
  /// - Limits: text is valid UTF-8, as every door has checked; json is valid JSON.
  /// - Errors: `.partsNotCarried`; nothing was written.
  public static func appendMember(
    _ payload: Payload, to writer: inout JSONWriter
  ) throws(Refusal) {
    switch payload.kind {
    case .json:
      writer.key("data")
      writer.raw(payload.bytes)
    case .text:
      writer.key("data")
      writer.string(utf8: payload.bytes.span)
    case .uncheckedText:
      writer.key("data")
      if JSON.isArrayOrObject(payload.bytes.span) {
        writer.raw(payload.bytes)
      } else {
        writer.string(utf8: payload.bytes.span)
      }
    case .binary: writer.field("b64data", base64(payload.bytes))
    case .jsonWithParts: throw .partsNotCarried
    }
  }

  /// The payload of a member `data`: a JSON string is text (its characters), else json as written.
  public static func payload(data member: JSONMember, in span: borrowing Span<UInt8>) -> Payload {
    guard let text = member.utf8(in: span) else {
      return Payload(.json, [UInt8](copying: span.extracting(member.value)))
    }
    return Payload(.text, text)
  }

  /// The payload of a member `b64data`; standard or URL alphabet, padded or not.
  public static func payload(
    b64data member: JSONMember, in span: borrowing Span<UInt8>
  ) throws(Refusal) -> Payload {
    guard let text = member.text(in: span), let bytes = bytes(base64: text) else {
      throw .invalidBase64
    }
    return Payload(.binary, bytes)
  }
}
