internal import Bytes
internal import JSON

/// What others are shown of a client in a channel, as JSON: what authentication says of it wherever it
/// is, and what is said of it in this channel alone. Pure.
///
/// Presence keeps one text of both: the connection's as it is, or where the channel has one
/// ` {"conn":…,"chan":…}`. The space tells the two apart: what is said of a connection is kept without
/// white space around it. To a gateway that knows nothing of this it is JSON as any other.
public struct ShownInfo: Equatable, Sendable {
  public var connection: [UInt8] = []
  public var channel: [UInt8] = []

  /// What doors show that know of one alone.
  public var shown: [UInt8] { channel.isEmpty ? connection : channel }

  public init(connection: [UInt8], channel: [UInt8] = []) {
    self.connection = connection
    self.channel = channel
  }

  public init(stored: [UInt8]) {
    guard stored.first == UInt8(ascii: " ") else {
      self.init(connection: stored)
      return
    }
    self.init(connection: [])
    do throws(JSONError) {
      var scanner = try JSONScanner(object: stored.span)
      while let member = try scanner.next(stored.span) {
        if member.isKey("conn", in: stored.span) { connection = Array(stored[member.value]) }
        if member.isKey("chan", in: stored.span) { channel = Array(stored[member.value]) }
      }
    } catch { (connection, channel) = ([], []) }
  }

  public var stored: [UInt8] {
    guard !channel.isEmpty else { return connection }
    var bytes = [UInt8](" {".utf8)
    if !connection.isEmpty {
      bytes.append(contentsOf: "\"conn\":".utf8)
      bytes.append(contentsOf: connection)
      bytes.append(UInt8(ascii: ","))
    }
    bytes.append(contentsOf: "\"chan\":".utf8)
    bytes.append(contentsOf: channel)
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }
}
