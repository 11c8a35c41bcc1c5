import Bytes
import Wire

/// One message of a kind and the header fields that it travels with.
struct Sample: Sendable, CustomStringConvertible {
  let label: String
  let message: any WireMessage
  var correlation: UInt32 = 0
  var flags: FrameFlags = []

  var kind: Kind { type(of: message).kind }
  var description: String { "\(kind) \(label)" }

  func frame(_ checksums: Checksums = .crc32c) -> [UInt8] {
    message.frame(correlation: correlation, flags: flags, checksums)
  }
}

extension WireMessage {
  func frame(correlation: UInt32, flags: FrameFlags, _ checksums: Checksums) -> [UInt8] {
    var writer = ByteWriter()
    writer.frame(self, correlation: correlation, flags: flags, checksums: checksums)
    return writer.bytes
  }

  /// The body alone.
  var body: [UInt8] {
    var writer = ByteWriter()
    encode(into: &writer)
    return writer.bytes
  }

  /// Whether `body` decodes to this very message.
  func isDecoded(from body: [UInt8]) throws(FrameError) -> Bool {
    try Self(body: body.span) == self
  }

  /// Decodes `body` as a message of this one's type.
  func sibling(from body: [UInt8]) throws(FrameError) -> any WireMessage {
    try Self(body: body.span)
  }
}

/// The samples of every kind: a rich one each, and others where a field has a special value.
enum Samples {
  static let all: [Sample] =
    SamplesOfLinks.all + SamplesOfHub.all + SamplesOfStore.all + SamplesOfPresence.all

  static func of(_ kind: Kind) -> [Sample] { all.filter { $0.kind == kind } }

  /// A message of each kind, as a witness of its type.
  static let witnesses: [Kind: any WireMessage] = Dictionary(
    all.map { ($0.kind, $0.message) }, uniquingKeysWith: { first, _ in first })
}

// MARK: values that samples share

func channel(_ text: String) -> ChannelName {
  guard let name = ChannelName(text) else { preconditionFailure("no channel name: \(text)") }
  return name
}

func epoch(_ text: String) -> Epoch {
  guard let epoch = Epoch(text) else { preconditionFailure("no epoch: \(text)") }
  return epoch
}

func position(_ epochText: String, _ offset: UInt64) -> Position {
  Position(epoch: epoch(epochText), offset: Offset(offset))
}

/// 255 bytes, with every character that a name may hold.
let longestName = channel(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:.@#,=-"
    + String(repeating: "z", count: 255 - 70))

/// 32 bytes, the longest that an epoch may be.
let longestEpoch = "AZaz09_-AZaz09_-AZaz09_-AZaz09_-"

/// 32 bytes that differ from each other.
func digest(_ first: UInt8) -> [UInt8] { (0..<32).map { first &+ $0 } }
