internal import Bytes
internal import JSON

/// The publication that announces an artifact:
/// `{"type":"artifact","name","bytes","sha256","modified"}` (S000-04). Pure.
enum ArtifactNotice {
  /// The event type under which the store ties a content's hash to a stream.
  static let eventType = "artifact"

  /// The hash that a payload announces; nil for any other payload.
  static func sha256(of payload: Payload) -> [UInt8]? {
    guard payload.kind == .json, payload.bytes.count < 64 * 1024 else { return nil }
    let span = payload.bytes.span
    var isArtifact = false
    var hash: [UInt8]?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) {
        if member.isKey("type", in: span) {
          isArtifact = member.text(in: span) == eventType
        } else if member.isKey("sha256", in: span) {
          hash = member.text(in: span).flatMap(Self.hash)
        }
      }
    } catch { return nil }
    return isArtifact ? hash : nil
  }

  /// 64 hexadecimal digits as 32 bytes.
  static func hash(_ text: String) -> [UInt8]? {
    guard text.utf8.count == 64 else { return nil }
    return bytes(hex: text)
  }
}
