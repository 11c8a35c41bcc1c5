internal import Bytes
internal import JSON

/// What a client that comes back says in its CONNECT: the `pid` it was given, and the last `offset`
/// it saw.
public struct SocketRecovery: Hashable, Sendable {
  /// BUDGET: of each of the two, in bytes.
  public static let bytesMax = 4_096

  public let pid: String
  public let offset: String

  public init(pid: String, offset: String) {
    self.pid = pid
    self.offset = offset
  }

  /// Nil where `auth`, a JSON object, doesn't hold both as strings: the client is new, or has seen
  /// nothing that it could come back to.
  public init?(auth: [UInt8]) {
    let span = auth.span
    var pid: String?
    var offset: String?
    do {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) {
        if member.isKey("pid", in: span) { pid = member.text(in: span) }
        if member.isKey("offset", in: span) { offset = member.text(in: span) }
      }
    } catch {
      return nil
    }
    guard let pid, let offset, pid.utf8.count <= Self.bytesMax,
      offset.utf8.count <= Self.bytesMax
    else { return nil }
    self.init(pid: pid, offset: offset)
  }
}
