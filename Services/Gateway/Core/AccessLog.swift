internal import Bytes
internal import HTTPCodec
internal import Observe
internal import Platform

/// What a request is called in answers and log lines.
///
/// The client's or a proxy's own word for it where that is one name of safe characters, so that
/// the logs of all who were concerned can be brought together; made here otherwise.
struct RequestID: Equatable, Sendable, CustomStringConvertible {
  private enum Source: Equatable {
    case given(String)
    /// Our own; text is made of it when that is wanted.
    case numbered(UInt64)
  }

  private let source: Source

  static let field = "X-Request-Id"
  /// A longer one is not taken over.
  static let bytesMax = 128

  /// Nil where the head has none, has several, or one that could be mistaken for something else.
  init?(_ headers: HTTPHeaders) {
    guard headers.contains("x-request-id") else { return nil }
    let given = headers.all("x-request-id")
    guard given.count == 1, let text = given.first, (1...Self.bytesMax).contains(text.utf8.count),
      text.utf8.allSatisfy(Self.isSafe)
    else { return nil }
    source = .given(text)
  }

  /// - Parameter number: each is used once by a process and its like.
  init(number: UInt64) {
    // A bijection (SplitMix64's last steps), so that equal ids are no more likely than equal numbers.
    var mixed = number &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    source = .numbered(mixed)
  }

  var description: String {
    if case .given(let text) = source { return text }
    var digits: [UInt8] = []
    append(to: &digits)
    return String(decoding: digits, as: UTF8.self)
  }

  /// Appends its text.
  func append(to bytes: inout [UInt8]) {
    switch source {
    case .given(let text): bytes.append(contentsOf: text.utf8)
    case .numbered(let number):
      bytes.append(littleEndian: Self.digits(UInt32(truncatingIfNeeded: number >> 32)))
      bytes.append(littleEndian: Self.digits(UInt32(truncatingIfNeeded: number)))
    }
  }

  /// Eight hexadecimal digits, the first one lowest.
  private static func digits(_ number: UInt32) -> UInt64 {
    var digits: UInt64 = 0
    for shift in 0..<8 {
      let digit = UInt64(number &>> UInt32(truncatingIfNeeded: 4 &* shift)) & 15
      digits = digits << 8 | (digit < 10 ? digit &+ 48 : digit &+ 87)
    }
    return digits
  }

  private static func isSafe(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"):
      true
    default: "-._~:/=+@".utf8.contains(byte)
    }
  }
}

/// One line for every request that is over and every socket that has ended; at `info` of the
/// subsystem `gateway.access`, which is off unless it is asked for.
///
/// Tells the address by its pattern: queries and names of channels stay out, and so does every
/// field but the user agent, which is cut.
final class AccessLog: Sendable {
  struct Entry {
    var kind = "request"
    var id: String
    var client: PeerIdentity
    var method: String
    var route: String
    var status: Int
    var received: UInt64
    var sent: UInt64?
    var time: Duration
    var agent: String?
    /// What was before the answer could be given, or could be given whole.
    var end: String?
  }

  private let logger: Logger

  /// A user agent is cut behind so many characters.
  static let agentMax = 200

  init(_ logger: Logger) { self.logger = logger.labelled("gateway.access") }

  var isOn: Bool { logger.level <= .info }

  func note(_ entry: Entry) {
    var fields: [(String, LogValue)] = [
      ("id", .text(entry.id)), ("client", .text(Self.text(entry.client))),
      ("method", .text(entry.method)), ("route", .text(entry.route)),
      ("status", .count(entry.status)), ("received", .uint(entry.received)),
    ]
    if let sent = entry.sent { fields.append(("sent", .uint(sent))) }
    fields.append(("seconds", .duration(entry.time)))
    if let end = entry.end { fields.append(("end", .text(end))) }
    if let agent = entry.agent { fields.append(("agent", .text(String(agent.prefix(Self.agentMax))))) }
    logger.info(entry.kind, LogFields(fields))
  }

  static func text(_ client: PeerIdentity) -> String {
    switch client {
    case .local: "unix"
    case .remote(let address): address
    }
  }

  /// The address that was asked for without what may be secret or endless of it.
  static func pattern(_ route: Route, _ head: HTTPRequestHead?) -> String {
    guard let path = head?.path, let first = path.first, !first.isEmpty else {
      return head == nil ? "-" : "/"
    }
    switch route {
    case .notFound: return "-"
    case .page(let name) where !Pages.contains(name): return "-"
    default: return path.count == 1 ? "/\(first)" : "/\(first)/…"
    }
  }
}
