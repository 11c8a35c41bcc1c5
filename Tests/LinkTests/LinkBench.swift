import Bytes
import Link
import Loop
import Platform
import Testing
import Wire

/// Turns `loop` until `isDone` says so; an issue is recorded when that takes too long.
func turn(
  _ loop: EventLoop, _ what: Comment, within: Duration = .seconds(10),
  sourceLocation: SourceLocation = #_sourceLocation, until isDone: () -> Bool
) {
  let deadline = SystemClock.monotonic() + within
  while !isDone() {
    guard SystemClock.monotonic() < deadline else {
      Issue.record("not within \(within): \(what)", sourceLocation: sourceLocation)
      return
    }
    loop.turn(waiting: .milliseconds(20))
  }
}

func identity(_ role: Role, key: [UInt8]? = nil) -> LinkIdentity {
  LinkIdentity(role: role, instance: 1, incarnation: 1, software: "test", key: key)
}

func channel(_ text: String) -> ChannelName {
  guard let name = ChannelName(text) else { preconditionFailure("\(text) is no channel") }
  return name
}

func publish(_ count: Int) -> Publish {
  Publish(
    remainingMs: 1000, handle: ChannelHandle(number: 1, generation: 1), flags: [], timeMs: 0,
    publisher: Publisher(), eventType: "", key: "", expected: nil,
    payload: Payload(.binary, [UInt8](repeating: 1, count: count)))
}

/// A link owner that keeps what it is told and answers as it is told to.
final class End: LinkOwner {
  var opened: [Link] = []
  var received: [FrameHeader] = []
  var missed = 0
  var relieved = 0
  var ends: [LinkEnd] = []
  /// What is done with each frame; by default probes are answered and all else is kept.
  var answer: (Link, FrameHeader, borrowing Span<UInt8>) throws(FrameError) -> Consumption = {
    link, header, _ throws(FrameError) in
    if header.kind == .probe { link.reply(Probed(events: 1, bytes: 2), to: header.correlation) }
    return .now
  }

  func linkOpened(_ link: Link) { opened.append(link) }
  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    received.append(header)
    return try answer(link, header, body)
  }
  func linkMissedPublications(_ link: Link) { missed += 1 }
  func linkRelieved(_ link: Link) { relieved += 1 }
  func linkEnded(_ link: Link, _ end: LinkEnd) { ends.append(end) }
}

/// Where the tests' links run: a Unix socket, and TCP with a key.
enum Transport: CaseIterable, Sendable {
  case unix, tcp
  static let key = [UInt8](repeating: 42, count: 32)
  var key: [UInt8]? { self == .tcp ? Self.key : nil }
  func address() -> SocketAddress {
    switch self {
    case .tcp: .tcp(host: "127.0.0.1", port: 0)
    case .unix: .unix(path: "/tmp/sapphire-link-\(UInt64.random(in: 0...(.max))).sock")
    }
  }
}

/// A listener (a hub) and what dials it (a gateway), on one loop.
final class Pair {
  let loop: EventLoop
  let hub = End()
  let gateway = End()
  let listener: LinkListener
  let dialer: LinkDialer
  var refusals: [String] = []

  init(
    _ transport: Transport, hubKey: [UInt8]? = nil, gatewayRole: Role = .gateway,
    accepts: @escaping (Role) -> Bool = { $0 == .gateway }, dials: Bool = true
  ) throws {
    loop = try EventLoop()
    listener = try LinkListener(
      at: transport.address(), identity: identity(.hub, key: hubKey ?? transport.key), on: loop,
      owner: hub, accepts: accepts)
    dialer = LinkDialer(
      to: listener.address, expecting: .hub, identity: identity(gatewayRole, key: transport.key),
      on: loop, owner: gateway)
    listener.refused = { [weak self] in self?.refusals.append($0) }
    if dials { dialer.start() }
  }

  func open(sourceLocation: SourceLocation = #_sourceLocation) throws -> (hub: Link, gateway: Link) {
    turn(loop, "both ends are open", sourceLocation: sourceLocation) {
      !hub.opened.isEmpty && dialer.open != nil
    }
    return (
      try #require(hub.opened.last, sourceLocation: sourceLocation),
      try #require(dialer.open, sourceLocation: sourceLocation)
    )
  }

  deinit {
    listener.close(.draining)
    dialer.stop()
    for _ in 0..<5 { loop.turn(waiting: .zero) }
    if case .unix(let path) = listener.address { try? Files.remove(FilePath(path)) }
  }
}

/// The other end of a connection as bare bytes: a peer that need not follow any rule.
final class RawPeer {
  let loop: EventLoop
  private var descriptor: Descriptor
  private(set) var received: [UInt8] = []
  private(set) var isEnded = false

  init(to address: SocketAddress, _ loop: EventLoop) throws {
    self.loop = loop
    let attempt = try Sockets.connect(to: address)
    descriptor = attempt.release()
    let deadline = SystemClock.monotonic() + .seconds(5)
    while Sockets.connectError(descriptor) != nil, SystemClock.monotonic() < deadline {
      loop.turn(waiting: .milliseconds(1))
    }
  }

  func send(_ bytes: [UInt8]) {
    var offset = 0
    let deadline = SystemClock.monotonic() + .seconds(5)
    while offset < bytes.count, SystemClock.monotonic() < deadline {
      if case .count(let count) = Syscalls.send(descriptor, bytes, from: offset) {
        offset += count
      } else {
        loop.turn(waiting: .milliseconds(1))
      }
    }
  }

  func send<M: WireMessage>(
    _ message: M, correlation: UInt32 = 0, flags: FrameFlags = [], checksums: Checksums = .none
  ) {
    var writer = ByteWriter()
    writer.frame(message, correlation: correlation, flags: flags, checksums: checksums)
    send(writer.bytes)
  }

  /// Reads what is there.
  func read() {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while !isEnded {
      switch Syscalls.receive(descriptor, into: &buffer, at: 0) {
      case .count(let count): received += buffer[..<count]
      case .wouldBlock: return
      case .endOfStream, .failed: isEnded = true
      }
    }
  }

  func close() { descriptor.close() }

  /// The frames received so far.
  func frames(_ checksums: Checksums = .none) -> [(header: FrameHeader, body: [UInt8])] {
    var reader = FrameReader(checksums: checksums)
    var frames: [(FrameHeader, [UInt8])] = []
    let bytes = received
    do throws(FrameError) {
      _ = try reader.read(bytes.span) { header, body throws(FrameError) in
        frames.append((header, [UInt8](copying: body)))
        return true
      }
    } catch { return frames }
    return frames
  }

  /// The code of the goodbye that came, if one did.
  func goodbye(_ checksums: Checksums = .none) -> ErrorCode? {
    frames(checksums).last { $0.header.kind == .goodbye }
      .flatMap { try? Goodbye(body: $0.body.span).code }
  }

  func waitForEnd(within: Duration = .seconds(5), sourceLocation: SourceLocation = #_sourceLocation) {
    turn(loop, "the connection ends", within: within, sourceLocation: sourceLocation) {
      read()
      return isEnded
    }
  }
}
