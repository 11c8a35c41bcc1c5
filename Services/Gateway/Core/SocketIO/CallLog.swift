internal import Bytes
internal import Link
internal import Loop
internal import Platform
internal import SocketIO
internal import Wire

/// What one client in a plugin's namespace was sent, kept at the hub for its coming back, on whatever
/// gateway that is. Loop-confined.
///
///     new ──begin, resume──▶ opening ──(marked as this connection's)──▶ open ──▶ over
///                                └──(another history, something gone, hub away)──▶ over
///
/// It is a history in the hub's memory that nobody subscribes to. Whoever writes to it says where it
/// has to stand: so each event has its place before it is confirmed, and of two connections of one
/// client the later one, which has put a mark of its own there, is the only one that can go on.
/// An event that could not be kept ends the connection, as if it had broken before the call.
final class CallLog {
  /// Why it ends by itself.
  enum End { case taken, unkept }

  let pid: RecoveryPID
  private let gateway: GatewayLoop
  private let lifeMs: UInt32
  private let name: ChannelName
  private var handle = ChannelHandle.none
  /// INVARIANT: the handle is of this link. Another link's channel may have the same number.
  private weak var link: Link?
  private var epoch: Epoch?
  /// Where the log stands once all that was written is there.
  private var head = Offset.zero
  private var isOver = false
  /// Told once, when nothing can be kept any more.
  var ended: ((End) -> Void)?

  /// BUDGET: events that a client may have missed, and their bytes.
  private static let countMax: UInt32 = 256
  private static let bytesMax: UInt32 = 4 << 20
  /// BUDGET: bytes of one event that is kept. A larger one leaves a hole that nobody is brought over.
  private static let eventBytesMax = 256 << 10
  /// Attempts to be the one that goes on, while another connection still writes.
  private static let triesMax = 3

  /// Nil for a secret that makes no name, which there is none of.
  init?(_ gateway: GatewayLoop, _ pid: RecoveryPID, life: Duration) {
    guard let name = ChannelName("@sapphire:socketio:\(pid.token.text)") else { return nil }
    self.gateway = gateway
    self.pid = pid
    self.name = name
    lifeMs = UInt32(clamping: life.millisecondsClamped)
  }

  // MARK: where a client stands

  /// What stands last in the event that was written last: `2;EPOCH:OFFSET`.
  var text: String { text(head) }

  private func text(_ offset: Offset) -> String {
    epoch.map { "2;\(Position(epoch: $0, offset: offset).description)" } ?? "2!"
  }

  static func position(_ text: String) -> Position? {
    text.hasPrefix("2;") ? Position(String(text.dropFirst(2))) : nil
  }

  // MARK: opening

  /// Begins a new one. Tells false where nothing can be kept now.
  func begin(_ done: @escaping (Bool) -> Void) {
    mark(1) { done($0 == nil) }
  }

  /// Goes on from `place`, with what was kept behind it.
  func resume(from place: Position, _ done: @escaping (Result<[SocketFrames], CallLogLost>) -> Void) {
    mark(1, in: place) { [self] failure in
      guard failure == nil else { return done(.failure(failure ?? CallLogLost(isLate: true))) }
      let request = ReadHistory(
        remainingMs: gateway.settings.publishMaxMs, name: name, after: place.offset,
        count: Self.countMax + 1, bytes: Self.bytesMax)
      ask(link, request, HistoryPage.self) { [self] result in
        guard case .success(let answer) = result else { return done(.failure(CallLogLost(isLate: true))) }
        guard let missed = missed(answer.page, after: place) else {
          return done(.failure(CallLogLost(isLate: false)))
        }
        done(.success(missed))
      }
    }
  }

  /// The events of a page that has all behind `place`; nil where something is missing.
  private func missed(_ page: EventPage, after place: Position) -> [SocketFrames]? {
    guard page.epoch == place.epoch, page.floor <= place.offset, !page.hasMore,
      page.events.last?.offset == head
    else { return nil }
    var missed: [SocketFrames] = []
    for event in page.events where event.eventType != Self.markType {
      guard event.eventType != Self.holeType, let frames = Self.frames(event.payload.bytes) else {
        return nil
      }
      missed.append(frames)
    }
    return missed
  }

  /// Opens the log and makes it this connection's.
  private func mark(
    _ attempt: Int, in place: Position? = nil, _ done: @escaping (CallLogLost?) -> Void
  ) {
    let request = OpenChannel(
      remainingMs: gateway.settings.publishMaxMs, name: name, flags: .publish, isDurable: false,
      historyCount: Self.countMax * 2, historyMs: lifeMs, subscribers: 0)
    let hub = gateway.upstreams.hub
    ask(hub, request, ChannelOpened.self) { [self] result in
      guard case .success(let opened) = result, let epoch = opened.epoch else {
        return done(CallLogLost(isLate: true))
      }
      (handle, link) = (opened.handle, hub)
      (self.epoch, head) = (epoch, opened.head)
      if isOver { return close() }
      if let place, place.epoch != epoch || place.offset > opened.head {
        return done(CallLogLost(isLate: false))
      }
      publish(Self.markType, []) { [self] failure in
        guard let failure else { return done(nil) }
        guard failure.code == .offsetConflict, attempt < Self.triesMax else {
          return done(CallLogLost(isLate: true))
        }
        mark(attempt + 1, in: place, done)
      }
    }
  }

  // MARK: writing

  private static let markType = "mark"
  private static let holeType = "hole"

  /// The frames of an event as it is to be sent, with its place at its end; they are kept.
  func keep(_ body: SocketBody, in namespace: SocketNamespace) -> SocketFrames {
    let frames = body.frames(in: namespace, appending: text(head.next))
    let bytes = Self.bytes(frames)
    let isHole = bytes.count > Self.eventBytesMax
    publish(isHole ? Self.holeType : "", isHole ? [] : bytes) { [self] failure in
      guard let failure else { return }
      end(failure.code == .offsetConflict ? .taken : .unkept)
    }
    return frames
  }

  private func publish(
    _ type: String, _ bytes: [UInt8], _ done: @escaping (Wire.Failure?) -> Void
  ) {
    let before = head
    let publish = Publish(
      remainingMs: gateway.settings.publishMaxMs, handle: handle,
      timeMs: gateway.loop.wallMilliseconds, publisher: Publisher(), eventType: type,
      expected: before, payload: Payload(.binary, bytes))
    head = head.next
    ask(link, publish, Published.self) { result in
      if case .failure(let failure) = result { done(failure) } else { done(nil) }
    }
  }

  private func ask<M: WireMessage, R: WireMessage>(
    _ link: Link?, _ message: M, _ reply: R.Type,
    _ done: @escaping (Result<R, Wire.Failure>) -> Void
  ) {
    guard let link, link === gateway.upstreams.hub else {
      return gateway.loop.atTurnEnd { done(.failure(Wire.Failure(.unavailable))) }
    }
    link.request(message, expecting: reply, within: gateway.settings.publishMax, done)
  }

  // MARK: the end

  private func end(_ why: End) {
    guard !isOver else { return }
    let told = ended
    close()
    told?(why)
  }

  /// Nothing is written any more; what was kept stays until it is too old.
  func close() {
    isOver = true
    ended = nil
    guard handle != .none, let link else { return }
    Self.close(handle, link, gateway)
    handle = .none
  }

  /// Until the link takes it: what the hub has open for a link is bounded.
  private static func close(_ handle: ChannelHandle, _ link: Link, _ gateway: GatewayLoop) {
    guard link === gateway.upstreams.hub, link.send(CloseChannel(handle: handle)) != .sent else {
      return
    }
    gateway.loop.after(.seconds(1)) { [weak link] in
      if let link { close(handle, link, gateway) }
    }
  }

  // MARK: events as they are kept

  /// The text and the attachments, each behind its length.
  private static func bytes(_ frames: SocketFrames) -> [UInt8] {
    var writer = ByteWriter()
    writer.bytes32(frames.text)
    for attachment in frames.attachments { writer.bytes32(attachment) }
    return writer.bytes
  }

  private static func frames(_ bytes: [UInt8]) -> SocketFrames? {
    let span = bytes.span
    var cursor = ByteCursor(span)
    do throws(ByteError) {
      let text = try cursor.bytes32(span)
      var attachments: [[UInt8]] = []
      while !cursor.isAtEnd { attachments.append(try cursor.bytes32(span)) }
      return SocketFrames(text: text, attachments: attachments)
    } catch { return nil }
  }
}

/// Why a client can't go on from where it was.
struct CallLogLost: Error {
  /// It could not be found out in time, or nothing can be kept now.
  var isLate: Bool
}
