import Bytes
import Centrifuge
import Foundation
import TestKit
import Testing

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// All commands of a frame; the error ends them.
func commands(
  _ encoding: CentrifugeEncoding, _ frame: [UInt8], limits: CentrifugeLimits = .init()
) throws(CentrifugeDecodeError) -> [CentrifugeCommand] {
  var reader = CentrifugeCommandReader(encoding, limits: limits)
  var commands: [CentrifugeCommand] = []
  while let command = try reader.next(frame.span) { commands.append(command) }
  return commands
}

func replies(
  _ encoding: CentrifugeEncoding, _ frame: [UInt8]
) throws(CentrifugeDecodeError) -> [CentrifugeReply] {
  var reader = CentrifugeReplyReader(encoding)
  var replies: [CentrifugeReply] = []
  while let reply = try reader.next(frame.span) { replies.append(reply) }
  return replies
}

/// The one command that a line of JSON says.
func command(_ json: String, limits: CentrifugeLimits = .init()) throws -> CentrifugeCommand {
  try #require(try commands(.json, utf8(json), limits: limits).first)
}

/// A message with its length before it, as a frame has it.
func delimited(_ message: [UInt8]) -> [UInt8] {
  var writer = ProtobufWriter()
  writer.varint(UInt64(message.count))
  return writer.bytes + message
}

/// The one command that a message of Protobuf says.
func command(protobuf message: [UInt8], limits: CentrifugeLimits = .init()) throws
  -> CentrifugeCommand
{
  try #require(try commands(.protobuf, delimited(message), limits: limits).first)
}

/// A message of either kind, as a value that both encodings have to agree on.
enum AnyMessage: Equatable, Sendable {
  case command(CentrifugeCommand)
  case reply(CentrifugeReply)
  case emulation(CentrifugeEmulation)

  init(_ kind: String, _ encoding: CentrifugeEncoding, _ frame: [UInt8]) throws {
    switch kind {
    case "command": self = .command(try #require(try commands(encoding, frame).first))
    case "reply": self = .reply(try #require(try replies(encoding, frame).first))
    default: self = .emulation(try CentrifugeEmulation.decode(encoding, frame.span))
    }
  }

  func encode(_ encoding: CentrifugeEncoding) -> [UInt8] {
    switch self {
    case .command(let command): encoding.encode(command)
    case .reply(let reply): encoding.encode(reply)
    case .emulation(let emulation): emulation.encode(encoding)
    }
  }
}

/// A message as another implementation of Protobuf wrote it, and the same as JSON.
struct MessageVector: Sendable, CustomTestStringConvertible {
  var kind: String
  var label: String
  /// With its length before it where a frame has one.
  var protobuf: [UInt8]
  var json: [UInt8]
  var testDescription: String { "\(kind) \(label)" }

  func frame(_ encoding: CentrifugeEncoding) -> [UInt8] { encoding == .json ? json : protobuf }

  static let all: [MessageVector] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Vectors/messages.hex")
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    var vectors: [MessageVector] = []
    for section in text.split(separator: "## ").dropFirst() {
      let lines = section.split(separator: "\n").map(String.init)
      guard lines.count == 3, let colon = lines[0].firstIndex(of: ":"),
        let message = bytes(hex: lines[1] == "-" ? "" : lines[1])
      else { continue }
      let kind = String(lines[0][..<colon])
      vectors.append(
        MessageVector(
          kind: kind, label: String(lines[0][colon...].dropFirst(2)),
          protobuf: kind == "emulation" ? message : delimited(message), json: utf8(lines[2])))
    }
    return vectors
  }()
}
