internal import Bytes
internal import ChannelKit
internal import Config
internal import EngineIO
internal import Identity
internal import Loop
internal import Observe
internal import Platform
internal import SocketIO
internal import Wire

/// Who is in namespaces of plugins, and how they come back where the namespace asks for that.
///
/// What a plugin sends is kept in a `CallLog`, at the hub; the client brings its secret and the last
/// string that it saw, as in the main namespace.
extension SocketIOClient {
  /// A client in a namespace that only a plugin serves.
  struct Guest {
    var standing: ClientStanding
    var account: ClientAccount?
    /// What it is sent, for its coming back; nil where it can't come back.
    var log: CallLog?
  }

  /// A CONNECT that is being answered.
  struct Entry {
    let namespace: SocketNamespace
    let identity: Identity?
    /// Of its CONNECT.
    let auth: [UInt8]?
  }

  /// Lets the client into a plugin's namespace, and has the plugin greet it.
  func enter(_ namespace: SocketNamespace, _ identity: Identity?, _ auth: [UInt8]?) {
    let entry = Entry(namespace: namespace, identity: identity, auth: auth)
    guard engine.wantsRecovery, let life = gateway.settings.engine.kept[namespace.text] else {
      return enter(entry, nil)
    }
    let said = auth.flatMap { SocketRecovery(auth: $0) }
    guard let said, let pid = RecoveryPID(said.pid, of: identity?.user) else {
      return begin(entry, life, stale: said?.offset)
    }
    _ = gateway.recoveries.replace(by: self, pid, in: namespace)
    let place = said.offset.flatMap { pid.isStale($0) ? nil : CallLog.position($0) }
    guard let place, let log = CallLog(gateway, pid, life: life) else {
      gateway.recoveries.remove(self, pid)
      gateway.metrics.engine.recovery.returned[.unplaced].add()
      return begin(entry, life, stale: said.offset)
    }
    opening[namespace] = log
    log.resume(from: place) { [weak self] result in
      guard let self, isWaiting(for: log, entry) else { return log.close() }
      switch result {
      case .success(let missed):
        gateway.metrics.engine.recovery.returned[.recovered].add()
        enter(entry, log, missed)
      case .failure(let lost):
        gateway.metrics.engine.recovery.returned[lost.isLate ? .late : .lost].add()
        log.close()
        gateway.recoveries.remove(self, pid)
        begin(entry, life, stale: said.offset)
      }
    }
  }

  private func isWaiting(for log: CallLog, _ entry: Entry) -> Bool {
    opening[entry.namespace] === log && engine.isOpen
  }

  /// One that was not here before. Where nothing can be kept now it is here without coming back.
  private func begin(_ entry: Entry, _ life: Duration, stale: String?) {
    let pid = RecoveryPID(of: entry.identity?.user, stale: stale)
    guard let log = CallLog(gateway, pid, life: life) else { return enter(entry, nil) }
    opening[entry.namespace] = log
    log.begin { [weak self] isKept in
      guard let self, isWaiting(for: log, entry) else { return log.close() }
      if isKept { gateway.recoveries.add(self, pid, in: entry.namespace) } else { log.close() }
      enter(entry, isKept ? log : nil)
    }
  }

  /// BUDGET: bytes of what it missed that stand before the answer to CONNECT: see `Comeback`.
  private static let earlyBytesMax = Comeback.earlyBytesMax

  private func enter(_ entry: Entry, _ log: CallLog?, _ missed: [SocketFrames]? = nil) {
    let namespace = entry.namespace
    opening[namespace] = nil
    let id = ClientID(number: log?.pid.clientNumber ?? gateway.takeClientNumber())
    var guest = Guest(
      standing: ClientStanding(id, entry.identity), account: gateway.account(of: engine.peer))
    guest.log = log
    guests[namespace] = guest
    log?.ended = { [weak self] in self?.logEnded(namespace, $0) }
    var room = Self.earlyBytesMax
    let early = missed?.prefix {
      room -= $0.bytesCount
      return room >= 0
    } ?? []
    for frames in early { send(frames) }
    perform { _ = $0.accept(namespace, sid: id.text, pid: log?.pid.text, &$1) }
    for frames in missed?.dropFirst(early.count) ?? [] { send(frames) }
    if let log, missed == nil { tellPlace(of: log, namespace) }
    greet(namespace, entry.auth)
  }

  private func send(_ frames: SocketFrames) {
    engine.send(.text(frames.text))
    for attachment in frames.attachments { engine.send(.binary(attachment)) }
  }

  /// The event `recovery`, which is about its last argument: without a string there is no coming back.
  private func tellPlace(of log: CallLog, _ namespace: SocketNamespace) {
    guard let body = try? SocketBodyWriter(event: "recovery").finish() else { return }
    perform { try? $0.emit(body, in: namespace, appending: log.text, &$1) }
  }

  /// Sends an event of a plugin's.
  func emit(_ body: SocketBody, of arguments: [Payload], in namespace: SocketNamespace) {
    if let log = guests[namespace]?.log {
      guard connection.isConnected(namespace) else { return }
      return send(log.keep(body, in: namespace))
    }
    let last = position(behind: arguments, in: namespace)
    perform { try? $0.emit(body, in: namespace, appending: last, &$1) }
  }

  /// Nothing can be kept any more: the client has come back elsewhere, or is to come back.
  private func logEnded(_ namespace: SocketNamespace, _ why: CallLog.End) {
    switch why {
    case .taken:
      gateway.metrics.engine.recovery.fenced.add()
      fence(in: namespace)
    case .unkept: engine.close()
    }
  }

  /// The client has come back on another connection: nothing more is said to it here.
  func fence(in namespace: SocketNamespace) {
    guard namespace != .main else { return fence() }
    if let log = opening.removeValue(forKey: namespace) {
      log.close()
      return engine.close()
    }
    perform { $0.disconnect(namespace, &$1) }
    if connection.namespaces.isEmpty { perform { $0.close(.forcedServerClose, &$1) } }
  }

  func guestLeft(_ namespace: SocketNamespace) {
    guard let log = guests.removeValue(forKey: namespace)?.log else { return }
    log.close()
    gateway.recoveries.remove(self, log.pid)
  }

  /// The session has ended: what was on its way is not waited for.
  func dropOpening() {
    for log in opening.values { log.close() }
    opening = [:]
  }
}

extension SocketFrames {
  fileprivate var bytesCount: Int { attachments.reduce(text.count) { $0 + $1.count } }
}
