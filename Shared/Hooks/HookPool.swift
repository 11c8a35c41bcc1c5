internal import Config
public import Loop
internal import Platform

/// The connections of one loop to one hook's back end, and the requests that wait for them.
///
/// Bounded: so many connections, so many requests that wait, and each request has a deadline from
/// the moment it is asked. Requests leave in the order they were asked; answers come in any.
/// A request is sent again only where `HookRequest.Repeats` says that it may be. Loop-confined.
public final class HookPool {
  public typealias Completion = (Result<[UInt8], HookFailure>) -> Void

  private let target: HookTarget
  private let limits: HookLimits
  private let loop: EventLoop
  /// In the order they were asked; those that are over are passed over.
  private var waiting: [HookCall] = []
  private var first = 0
  /// Calls that are not on a connection: those that wait, and those that wait to be tried again.
  public private(set) var waitingCount = 0
  private var connections: [ObjectIdentifier: HookConnection] = [:]
  private var idle: [HookConnection] = []
  /// Which of the host's addresses is tried next.
  private var turn = 0
  private var isSweeping = false
  private var isPumping = false
  private var isClosed = false

  /// Before a connection is tried again, once each address has been.
  static let retryAfter: [Duration] = [.milliseconds(100), .milliseconds(250)]

  public init(_ target: HookTarget, _ limits: HookLimits, on loop: EventLoop) {
    self.target = target
    self.limits = limits
    self.loop = loop
  }

  /// Connections, busy and idle.
  public var connectionCount: Int { connections.count }

  /// Asks; `completion` is told once, at the end of a turn, within the request's time.
  public func ask(_ request: HookRequest, _ completion: @escaping Completion) {
    let call = HookCall(request, SystemClock.monotonic() + request.within, loop, completion)
    let mayBegin = idle.isEmpty == false || connections.count < limits.connectionsMax
    guard !isClosed else { return call.finish(.failure(.unreachable(reason: "closed here"))) }
    guard waitingCount < limits.waitingMax || waitingCount == 0 && mayBegin else {
      return call.finish(.failure(.queueFull))
    }
    call.timer = loop.at(call.deadline) { [weak self] in self?.timedOut(call) }
    enqueue(call)
    pump()
  }

  /// Ends every connection; what is under way or waits fails.
  public func close() {
    isClosed = true
    let calls = waiting[first...] + connections.values.compactMap(\.call)
    for call in calls { call.finish(.failure(.unanswered(reason: "closed here"))) }
    waiting = []
    (first, waitingCount) = (0, 0)
    for connection in Array(connections.values) { connection.abandon() }
  }

  // MARK: the queue

  private func enqueue(_ call: HookCall) {
    waitingCount += 1
    waiting.append(call)
  }

  private func next() -> HookCall? {
    while first < waiting.count {
      let call = waiting[first]
      first += 1
      if first == waiting.count {
        waiting.removeAll(keepingCapacity: waiting.count < 1_024)
        first = 0
      } else if first > 256, first * 2 > waiting.count {
        waiting.removeFirst(first)
        first = 0
      }
      if call.isOver { continue }
      waitingCount -= 1
      guard call.request.isWanted() else {
        call.finish(.failure(.unwanted))
        continue
      }
      return call
    }
    return nil
  }

  private func pump() {
    guard !isPumping else { return }
    isPumping = true
    defer { isPumping = false }
    while !idle.isEmpty || connections.count < limits.connectionsMax {
      guard let call = next() else { return }
      if let connection = idle.popLast() {
        connection.send(call)
      } else {
        connect(call)
      }
    }
  }

  private func connect(_ call: HookCall) {
    let addresses = target.host.addresses
    guard !addresses.isEmpty else {
      return missed(call, "\(target.url.host) could not be looked up")
    }
    let connection = HookConnection(
      self, target, on: loop, answerBytesMax: limits.answerBytesMax)
    connections[ObjectIdentifier(connection)] = connection
    connection.open(addresses[turn % addresses.count], for: call)
  }

  private func timedOut(_ call: HookCall) {
    guard !call.isOver else { return }
    let connection = call.connection
    if connection == nil { waitingCount -= 1 }
    call.finish(
      .failure(
        call.wasSent
          ? .unanswered(reason: "it took too long")
          : .unreachable(reason: "there was no connection in time")))
    connection?.abandon()
  }

  // MARK: what connections tell

  /// No connection could be had for it; nothing of it was sent.
  func missed(_ call: HookCall, _ reason: String) {
    guard !call.isOver else { return }
    call.misses += 1
    let addresses = max(1, target.host.addresses.count)
    turn = (turn + 1) % addresses
    let round = call.misses / addresses
    if call.misses % addresses != 0 { return again(call) }
    guard round <= Self.retryAfter.count else {
      return call.finish(.failure(.unreachable(reason: reason)))
    }
    let wait = Self.retryAfter[round - 1]
    guard loop.now + wait < call.deadline else {
      return call.finish(.failure(.unreachable(reason: reason)))
    }
    waitingCount += 1
    loop.after(wait) { [weak self] in
      guard let self, !call.isOver else { return }
      waitingCount -= 1
      again(call)
    }
  }

  /// It is sent before all that wait.
  func again(_ call: HookCall) {
    guard !isClosed else { return call.finish(.failure(.unreachable(reason: "closed here"))) }
    waitingCount += 1
    waiting.insert(call, at: first)
    loop.atTurnEnd { [weak self] in self?.pump() }
  }

  func isIdle(_ connection: HookConnection) {
    idle.append(connection)
    pump()
    guard !idle.isEmpty, !isSweeping else { return }
    isSweeping = true
    loop.after(.seconds(1)) { [weak self] in self?.sweep() }
  }

  func ended(_ connection: HookConnection) {
    guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
    idle.removeAll { $0 === connection }
    loop.retire(connection)
    loop.atTurnEnd { [weak self] in self?.pump() }
  }

  /// Lets go of connections that nothing was asked on for a while.
  private func sweep() {
    isSweeping = false
    for connection in idle where loop.now.since(connection.idleSince) >= limits.idleMax {
      connection.close()
    }
    guard !idle.isEmpty else { return }
    isSweeping = true
    loop.after(.seconds(1)) { [weak self] in self?.sweep() }
  }
}

@available(*, unavailable) extension HookPool: Sendable {}
