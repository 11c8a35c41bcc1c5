internal import Bytes
internal import JSON

/// What a client that comes back says in its CONNECT: the `pid` it was given, and the last `offset`
/// it saw.
public struct SocketRecovery: Hashable, Sendable {
  /// BUDGET: of each of the two, in bytes.
  public static let bytesMax = 4_096

  public let pid: String
  /// Nil where it has seen none, or one that can't be ours.
  public let offset: String?

  public init(pid: String, offset: String?) {
    self.pid = pid
    self.offset = offset
  }

  /// Nil where `auth`, a JSON object, doesn't hold a `pid`: the client is new.
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
    guard let pid, pid.utf8.count <= Self.bytesMax else { return nil }
    self.init(pid: pid, offset: offset.flatMap { $0.utf8.count <= Self.bytesMax ? $0 : nil })
  }
}
