public import ChannelKit

/// Why a test on a `ChannelBench` fails.
public struct BenchFailure: Error, CustomStringConvertible {
  public let description: String

  init(_ text: String, _ file: StaticString? = nil, _ line: UInt = 0) {
    description = file.map { "\($0):\(line): \(text)" } ?? text
  }
}

extension ChannelBench {
  /// The next message of every subscribed client is `payload`.
  public func expectBroadcast(
    _ payload: Payload, file: StaticString = #fileID, line: UInt = #line
  ) throws {
    guard !order.isEmpty else { throw BenchFailure("nobody is subscribed", file, line) }
    for id in order { try expectNext(payload, id, file, line) }
  }

  /// The next message of `client` is `payload`.
  public func expectMessage(
    _ payload: Payload, to client: ClientContext, file: StaticString = #fileID,
    line: UInt = #line
  ) throws {
    guard let id = client.id else { throw BenchFailure("the API gets no messages", file, line) }
    try expectNext(payload, id, file, line)
  }

  /// No client has a message left.
  public func expectNothingMore(file: StaticString = #fileID, line: UInt = #line) throws {
    for id in order {
      guard let next = seats[id]?.inbox.first else { continue }
      throw BenchFailure("\(id) also got \(next.text)", file, line)
    }
  }

  /// The last event of `client` was answered with `payload`.
  public func expectReply(
    _ payload: Payload, to client: ClientContext, file: StaticString = #fileID,
    line: UInt = #line
  ) throws {
    let reply = client.id.map { seats[$0]?.reply } ?? replyToAPI
    guard reply != payload else { return }
    throw BenchFailure(
      "expected the reply \(payload.text), got \(reply?.text ?? "none")", file, line)
  }

  /// Sends an event that must be refused with the error of this name.
  @discardableResult
  public func expectRefused(
    _ payload: Payload, from client: ClientContext, _ name: String,
    file: StaticString = #fileID, line: UInt = #line
  ) throws -> ChannelError {
    do {
      try send(payload, from: client)
    } catch let error as ChannelError {
      guard error.name != name else { return error }
      throw BenchFailure("expected \(name), was refused with \(error)", file, line)
    }
    throw BenchFailure("expected \(name), and the event was accepted", file, line)
  }

  /// The messages that `client` has not been expected to have yet; they count as seen afterwards.
  public func takeMessages(of client: ClientContext) -> [Payload] {
    guard let id = client.id, let messages = seats[id]?.inbox else { return [] }
    seats[id]?.inbox = []
    return messages
  }

  /// Why the channel ended the client's subscription; nil where it didn't.
  public func closed(_ client: ClientContext) -> ChannelError? {
    client.id.flatMap { seats[$0]?.closed }
  }

  private func expectNext(
    _ payload: Payload, _ id: ClientID, _ file: StaticString, _ line: UInt
  ) throws {
    guard let next = seats[id]?.inbox.first else {
      throw BenchFailure("\(id) got nothing, expected \(payload.text)", file, line)
    }
    seats[id]?.inbox.removeFirst()
    guard next == payload else {
      throw BenchFailure("\(id) got \(next.text), expected \(payload.text)", file, line)
    }
  }
}

extension Payload {
  /// For messages to people.
  fileprivate var text: String {
    switch kind {
    case .binary, .jsonWithParts: "\(kind) of \(bytes.count) bytes"
    default: "\(kind) \(String(decoding: bytes, as: UTF8.self))"
    }
  }
}
