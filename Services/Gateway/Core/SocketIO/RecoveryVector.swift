internal import Bytes
internal import SocketIO
internal import WebSocketCodec

/// Where a client of Socket.IO stands in all its channels, as the string that stands last in its
/// events, and that it brings back as its `offset`. Pure.
///
/// Shape: `1`, then for each channel `;CHANNEL=EPOCH:OFFSET`, or `empty` or `start` as in a
/// `PositionVector`. No character of it is escaped in JSON. `1!` where one of the channels has nothing
/// to come back to.
enum RecoveryVector {
  /// BUDGET: of one string. A client of so many channels that it would be longer can't come back.
  static let bytesMax = SocketRecovery.bytesMax

  private static let version = UInt8(ascii: "1")
  /// Of a client that can't be brought back.
  static let none = "1!"

  /// Of a client of this one channel, whose name is UTF-8.
  static func append(
    _ name: some Collection<UInt8>, _ position: Position, to bytes: inout [UInt8]
  ) {
    bytes.append(version)
    PositionVector.append(name, .position(position), to: &bytes)
  }

  static func encode(_ places: [(ChannelName, Subscription.Since)]) -> String {
    var bytes: [UInt8] = [version]
    for (name, place) in places {
      if case .now = place { return none }
      PositionVector.append(name.text.utf8, place, to: &bytes)
      if bytes.count > bytesMax { return none }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Nil for a string that says no place, whoever wrote it.
  ///
  /// - Parameter countMax: channels in it.
  static func decode(_ text: String, countMax: Int) -> [ChannelName: Subscription.Since]? {
    guard text.utf8.count <= bytesMax, text.utf8.first == version else { return nil }
    let rest = text.dropFirst()
    guard !rest.isEmpty else { return [:] }
    guard rest.utf8.first == UInt8(ascii: ";") else { return nil }
    let parts = rest.utf8.lazy.filter { $0 == UInt8(ascii: ";") }.count
    guard parts <= countMax, let places = PositionVector.parse(String(rest.dropFirst())),
      places.count == parts
    else { return nil }
    return places
  }

  /// Where `,"POSITION"]` begins, which a packet's text ends with; nil where it does not.
  private static func end(of text: borrowing Span<UInt8>) -> Int? {
    guard text.count > 6, text[text.count - 1] == UInt8(ascii: "]"),
      text[text.count - 2] == UInt8(ascii: "\"")
    else { return nil }
    var quote = text.count - 3
    while quote > 1, text[quote] != UInt8(ascii: "\"") { quote -= 1 }
    guard quote > 1, text[quote - 1] == UInt8(ascii: ","), text[quote + 1] == version else {
      return nil
    }
    return quote - 1
  }

  /// Appends the frames of one publication with `position` in place of what its text ends with.
  /// False where they can't be read, since they are compressed already; nothing was appended.
  static func replace(
    in frames: borrowing Span<UInt8>, by position: String, into output: inout [UInt8]
  ) -> Bool {
    let rules = WebSocketFrameHeader.Rules(
      role: .client, isAssembling: false, payloadBytesMax: .max, compressedBytesMax: .max)
    guard let header = try? WebSocketFrameHeader.parse(frames, from: 0, rules),
      !header.isCompressed, header.payloadBytes <= frames.count - header.headerBytes
    else { return false }
    let textEnd = header.headerBytes + header.payloadBytes
    let text = frames.extracting(header.headerBytes..<textEnd)
    guard let cut = end(of: text) else {
      output.append(copying: frames)
      return true
    }
    var replaced: [UInt8] = []
    replaced.reserveCapacity(cut + position.utf8.count + 4)
    replaced.append(copying: text.extracting(0..<cut))
    replaced.append(contentsOf: ",\"".utf8)
    replaced.append(contentsOf: position.utf8)
    replaced.append(contentsOf: "\"]".utf8)
    WebSocketFrame.append(.text, replaced.span, into: &output)
    output.append(copying: frames.extracting(textEnd..<frames.count))
    return true
  }
}

/// Where a client of Socket.IO stands in the channels that count for its coming back. Pure.
struct SocketPlaces {
  private struct Entry {
    let name: ChannelName
    /// Apart, since it changes with each publication.
    var position: Position?
    /// Where there is no position; `.now`: there is none to come back to.
    var otherwise = Subscription.Since.now

    var place: Subscription.Since { position.map { .position($0) } ?? otherwise }
  }

  private var entries: [Entry] = []
  /// As text, until something changes.
  private var known: String?

  init() {}

  init(_ places: [ChannelName: Subscription.Since]) {
    for (name, place) in places { stand(at: place, in: name) }
  }

  var count: Int { entries.count }

  /// Whether what the channel's encoding says of the position is all there is to say.
  func isAlone(_ name: ChannelName) -> Bool { entries.count == 1 && entries[0].name == name }

  func contains(_ name: ChannelName) -> Bool { entries.contains { $0.name == name } }

  var text: String {
    mutating get {
      if let known { return known }
      let made = RecoveryVector.encode(entries.map { ($0.name, $0.place) })
      known = made
      return made
    }
  }

  /// Whether that was news.
  @discardableResult
  mutating func stand(at place: Subscription.Since, in name: ChannelName) -> Bool {
    var entry = Entry(name: name)
    if case .position(let position) = place { entry.position = position } else {
      entry.otherwise = place
    }
    if let index = entries.firstIndex(where: { $0.name == name }) {
      if entries[index].place == place { return false }
      entries[index] = entry
    } else {
      entries.append(entry)
    }
    known = nil
    return true
  }

  /// The client has been given everything up to there, if the channel counts.
  mutating func advance(to position: Position, in name: ChannelName) {
    guard let index = entries.firstIndex(where: { $0.name == name }) else { return }
    entries[index].position = position
    known = nil
  }

  /// Whether it was there.
  mutating func leave(_ name: ChannelName) -> Bool {
    guard let index = entries.firstIndex(where: { $0.name == name }) else { return false }
    entries.remove(at: index)
    known = nil
    return true
  }
}
