internal import Bytes
internal import ChannelKit
internal import Config
internal import Crypto
internal import JSON
internal import Link
internal import Loop
internal import Observe
internal import Schema
internal import Wire

/// What became of a publication.
struct PublishResult {
  /// Nil in a channel without history.
  var position: Position?
  var isDuplicate = false
  /// What the channel's plugin answers.
  var reply: Payload?
  /// It is for subscribers alone, and there are none: nothing was published.
  var isSkipped = false
}

/// What someone wants published.
struct PublishRequest {
  var channel: LocalChannel
  var event: ChannelEvent
  var client: ClientContext
  /// The client's number on the wire; 0 for the API.
  var clientNumber: UInt64
  var expected: Offset?
  var eventType = ""
  var meta: [UInt8] = []
  /// What is said of the publisher to those who get it; nil: nothing.
  var origin: EventOrigin?
  /// Which of its producer's publications it is.
  var producer: ProducerMark?
  var skipHistory = false
  /// What a plugin publishes right after the payload, in the same append.
  var following: [Payload] = []
  var flags: Publish.Flags = []
  /// The client's token allows it, whatever the rule says.
  var isAllowedByToken = false
  /// Told where there is no completion, if the publication is refused or can't be sent; nil for one
  /// that a channel's type makes by itself.
  var publisher: (any PublicationOwner)?

  /// In whose account it is what the publication takes while it waits.
  var memoryAccount: MemoryAccount {
    publisher?.memoryAccount ?? .alone(ObjectIdentifier(channel))
  }
}

extension PublishRequest {
  /// What goes with the payload. In a history, what is not for its publisher's own client says so, since
  /// it is read again.
  fileprivate func meta(isKept: Bool) -> [UInt8] {
    let isForOthers = isKept && flags.contains(.forOthers)
    guard clientNumber != 0, meta.isEmpty, isForOthers || origin != nil else { return meta }
    var origin = origin ?? EventOrigin()
    origin.isForOthers = isForOthers
    return origin.meta
  }
}

/// Whoever publishes. A reference and no closure, since there is one for every publication.
protocol PublicationOwner: AnyObject {
  var memoryAccount: MemoryAccount { get }
  /// What became of a publication that nobody asked about.
  func publicationRefused(in channel: LocalChannel, _ refusal: Refusal)
}

/// From an event to a publication: rights, the plugin's decision, then the sequencer, which is the
/// event store for a durable channel and the hub for any other.
final class Publishing {
  private let gateway: GatewayLoop

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var publishMaxMs: UInt32 { gateway.settings.publishMaxMs }

  typealias Completion = (Result<PublishResult, Refusal>) -> Void

  /// Whether a client may publish in a channel that need not exist here yet: asked before one is
  /// made, so that refused names cost nothing.
  func mayPublish(_ client: ClientContext, in name: ChannelName) -> Bool {
    if let known = gateway.existing(name) {
      return gateway.settings.access.mayPublish(client, known.publishers)
    }
    guard let policy = gateway.settings.policy(name) else { return false }
    return gateway.settings.access.mayPublish(
      client, policy.publish ?? gateway.settings.registry.traits(of: policy.type)?.publishers)
  }

  /// Publishes and tells `completion`, exactly once. Nil where nobody asks: then an ephemeral
  /// publication costs no reply from the hub.
  ///
  /// `client` carries out what a plugin does to the client itself.
  func publish(
    _ request: PublishRequest, client effects: (any EffectTarget)? = nil,
    _ completion: Completion?
  ) {
    let channel = request.channel
    channel.lastUsed = gateway.loop.now
    guard
      request.isAllowedByToken
        || gateway.settings.access.mayPublish(request.client, channel.publishers)
    else {
      return refuse(request, .permissionDenied, completion)
    }
    guard request.event.payload.bytes.count <= gateway.settings.payloadBytesMax else {
      gateway.metrics.limits.reached(.publicationBytes)
      return refuse(request, .tooLarge(gateway.settings.payloadBytesMax), completion)
    }
    if let refusal = refusal(ofKey: request.event.idempotencyKey) {
      return refuse(request, refusal, completion)
    }
    if let refusal = refusal(ofPayload: request) { return refuse(request, refusal, completion) }
    guard channel.plugin != nil else {
      return sequence(
        request, request.event.payload, expected: request.expected, completion)
    }
    decide(request, effects) { [self] result in
      if let completion { return completion(result) }
      if case .failure(let refusal) = result { refuse(request, refusal, nil) }
    }
  }

  /// Carries out what a plugin decided by itself (a leave, a timer): nothing is decided again.
  func carryOut(
    _ effects: [Effect], in channel: LocalChannel, for client: ClientContext,
    clientNumber: UInt64, target: (any EffectTarget)?
  ) {
    guard !effects.isEmpty else { return }
    let request = PublishRequest(
      channel: channel, event: ChannelEvent(Payload(text: "")), client: client,
      clientNumber: clientNumber)
    carryOut(effects, request, target, channel.position) { [logger = gateway.logger] result in
      if case .failure(let refusal) = result {
        logger.debug("a plugin's publication was refused", ["reason": .text(refusal.message)])
      }
    }
  }

  private func refusal(ofKey key: String?) -> Refusal? {
    let limit = gateway.settings.keyBytesMax
    guard let key, key.utf8.count > limit else { return nil }
    gateway.metrics.limits.reached(.idempotencyKeyBytes)
    return .badRequest("idempotency_key is over \(limit) bytes")
  }

  /// Why the payload is not as the channel's rule says (S003-22, S002-20).
  private func refusal(ofPayload request: PublishRequest) -> Refusal? {
    guard request.channel.hasSchemas else { return nil }
    let schemas = request.channel.policy.schemas
    guard let value = Self.value(of: request.event.payload) else {
      return .invalidPayload("the payload is neither JSON nor text")
    }
    do throws(SchemaFault) {
      for schema in schemas { try schema.check(value) }
    } catch { return .invalidPayload("\(error)") }
    return nil
  }

  /// A payload as an envelope shows it; nil for one that has no place there as it is.
  private static func value(of payload: Payload) -> JSONValue? {
    switch payload.kind {
    case .text: return .string(String(decoding: payload.bytes, as: UTF8.self))
    case .binary: return nil
    case .json, .jsonWithParts: return try? JSONValue.parse(payload.bytes.span)
    case .uncheckedText:
      let parsed = try? JSONValue.parse(payload.bytes.span)
      if let parsed, parsed.object != nil || parsed.array != nil { return parsed }
      return .string(String(decoding: payload.bytes, as: UTF8.self))
    }
  }

  // MARK: plugins

  /// Decides at once where a decision depends on no other; else in the channel's order.
  private func decide(
    _ request: PublishRequest, _ target: (any EffectTarget)?, _ answer: @escaping Completion
  ) {
    let channel = request.channel
    if let decisions = channel.decisions { return decisions.submit(request, target, answer) }
    guard channel.plugin?.traits.state != .folded else {
      return decideInOrder(request, target, needsLive: true, answer)
    }
    let list: [Effect]
    do throws(ChannelError) {
      list = try channel.plugin?.decide(request.event, from: request.client) ?? []
    } catch {
      return refuse(Refusal(error), unlessRepeated: request, answer)
    }
    guard !list.contains(where: \.expectsUnchanged) else {
      return decideInOrder(request, target, needsLive: false, answer)
    }
    carryOut(list, request, target, channel.position, answer)
  }

  private func decideInOrder(
    _ request: PublishRequest, _ target: (any EffectTarget)?, needsLive: Bool,
    _ answer: @escaping Completion
  ) {
    let decisions = Decisions(self, gateway, needsLive: needsLive)
    request.channel.decisions = decisions
    decisions.submit(request, target, answer)
  }

  /// What a plugin refuses may be the repetition of what it let through before: a removal whose
  /// answer was lost finds nothing to remove. The key tells, so the store is asked for it, with an
  /// offset that no stream reaches, so that nothing is appended where the key is new.
  func refuse(
    _ refusal: Refusal, unlessRepeated request: PublishRequest, _ answer: @escaping Completion
  ) {
    let isNamed = request.event.idempotencyKey != nil || request.producer != nil
    guard isNamed, request.channel.policy.isDurable else {
      return answer(.failure(refusal))
    }
    append(request, request.event.payload, Offset(.max - 1)) { result in
      switch result {
      case .success: answer(result)
      case .failure(let reason) where reason == .idempotencyConflict:
        answer(.failure(.idempotencyConflict))
      case .failure: answer(.failure(refusal))
      }
    }
  }

  /// - Parameter position: where the channel was when the effects were decided.
  func carryOut(
    _ effects: [Effect], _ request: PublishRequest, _ target: (any EffectTarget)?,
    _ position: Position?, _ answer: @escaping Completion
  ) {
    carryOut(
      effects[...], request, target, position?.offset ?? .zero, PublishResult(), answer)
  }

  /// Publications first, one after the other, then the rest.
  private func carryOut(
    _ effects: ArraySlice<Effect>, _ request: PublishRequest, _ target: (any EffectTarget)?,
    _ decidedAt: Offset, _ soFar: PublishResult, _ answer: @escaping Completion
  ) {
    guard
      let next = effects.firstIndex(where: {
        if case .publish = $0 { true } else { false }
      }), case .publish(let effect) = effects[next]
    else {
      var result = soFar
      for case .reply(let payload) in effects { result.reply = payload }
      target?.carryOut(Array(effects), in: request.channel)
      return answer(.success(result))
    }
    var rest = effects
    rest.remove(at: next)
    let expected = effect.expecting == .unchanged ? decidedAt : request.expected
    var request = request
    request.skipHistory = effect.persistence != .byRule
    request.flags = effect.wireFlags
    request.following = effect.following
    sequence(request, effect.payload, expected: expected) { [self] result in
      switch result {
      case .failure: answer(result)
      case .success(let published):
        var later = request
        later.event.idempotencyKey = request.event.idempotencyKey.map(Self.key(after:))
        if let producer = request.producer {
          // The producer counts the first of them; the others are known by it.
          later.producer = nil
          later.event.idempotencyKey = Self.key(
            after: "\(producer.epoch) \(producer.sequence) \(producer.id)")
        }
        self.carryOut(rest, later, target, decidedAt, published, answer)
      }
    }
  }

  /// The key of the publication that a decision makes after the one under `key`: the same for each
  /// repetition of the event, so that none of its publications is published twice. 64 bytes,
  /// however long the key is.
  static func key(after key: String) -> String {
    hex(SHA256.digest([UInt8]("after ".utf8) + key.utf8))
  }

  // MARK: sequencers

  private func sequence(
    _ request: PublishRequest, _ payload: Payload, expected: Offset?, _ completion: Completion?
  ) {
    guard payload.kind != .jsonWithParts,
      request.following.allSatisfy({ $0.kind != .jsonWithParts })
    else {
      return refuse(request, .partsNotCarried, completion)
    }
    if request.channel.isDurable, !request.skipHistory {
      append(request, payload, expected, completion ?? { _ in })
    } else {
      sendToHub(request, payload, expected, completion)
    }
  }

  private func append(
    _ request: PublishRequest, _ payload: Payload, _ expected: Offset?,
    _ completion: @escaping Completion
  ) {
    guard let store = gateway.upstreams.eventstore else {
      return completion(.failure(.storeUnavailable))
    }
    guard request.producer == nil || store.peer?.knowsProducers ?? false else {
      return completion(.failure(.noProducersYet))
    }
    let limit = gateway.settings.publishMax
    let meta = request.meta(isKept: true)
    var events = [NewEvent(payload: payload, eventType: request.eventType, meta: meta)]
    for next in request.following {
      events.append(NewEvent(payload: next, eventType: request.eventType, meta: meta))
    }
    let message = Append(
      remainingMs: publishMaxMs, stream: request.channel.name,
      expected: expected, key: request.event.idempotencyKey ?? "", client: request.clientNumber,
      user: request.client.user?.text ?? "", keyHash: keyHash(request),
      events: events, producer: request.producer)
    store.request(message, expecting: Appended.self, within: limit) { [gateway] in
      switch $0 {
      case .failure(let failure):
        gateway.metrics.limits.reached(failure, overload: .appendQueueBytes)
        completion(.failure(Refusal(failure)))
      case .success(let appended):
        gateway.metrics.acked.add()
        completion(
          .success(
            PublishResult(
              position: Position(epoch: appended.epoch, offset: appended.first),
              isDuplicate: appended.isDuplicate)))
      }
    }
  }

  /// A plugin may make another payload of the same event each time; a retry is known by the event.
  private func keyHash(_ request: PublishRequest) -> [UInt8] {
    guard request.channel.plugin != nil, request.event.idempotencyKey != nil else { return [] }
    let sent = request.event.payload
    return SHA256.digest([sent.kind.rawValue] + sent.bytes)
  }

  private func sendToHub(
    _ request: PublishRequest, _ payload: Payload, _ expected: Offset?, _ completion: Completion?
  ) {
    let channel = request.channel
    guard let hub = gateway.upstreams.hub else {
      refuse(request, .unavailable, completion)
      return
    }
    guard channel.handle != .none else {
      return waitForHandle(request, payload, expected, completion)
    }
    channel.publishedAt = gateway.loop.now
    let message = Publish(
      remainingMs: publishMaxMs,
      handle: channel.handle, flags: request.skipHistory ? request.flags.union(.skipHistory) : request.flags,
      timeMs: gateway.loop.wallMilliseconds,
      publisher: Publisher(client: request.clientNumber, user: request.client.user?.text ?? ""),
      eventType: request.eventType, key: request.event.idempotencyKey ?? "", expected: expected,
      payload: payload,
      meta: request.meta(isKept: channel.keepsHistory && !request.skipHistory))
    guard let completion else {
      if hub.publish(message) == .refused {
        gateway.metrics.dropped.add()
        refuse(request, .overloaded, nil)
      }
      return
    }
    hub.request(message, within: gateway.settings.publishMax) { [gateway] outcome, body in
      let result: Result<Published, Failure> = Link.reply(outcome, body)
      switch result {
      case .failure(let failure):
        gateway.metrics.limits.reached(failure)
        completion(.failure(Refusal(failure)))
      case .success(let published):
        gateway.metrics.acked.add()
        completion(
          .success(
            PublishResult(position: published.position, isDuplicate: published.isDuplicate)))
      }
    }
  }

  private func refuse(_ request: PublishRequest, _ refusal: Refusal, _ completion: Completion?) {
    if let completion { return completion(.failure(refusal)) }
    request.publisher?.publicationRefused(in: request.channel, refusal)
  }

  private func waitForHandle(
    _ request: PublishRequest, _ payload: Payload, _ expected: Offset?, _ completion: Completion?
  ) {
    // Where no type decides, the payload is the event's own.
    let decided = request.channel.plugin == nil ? 0 : request.event.payload.bytes.count
    let kept = payload.bytes.count + decided + 256
    request.channel.whenOpened(request, within: gateway.settings.publishMax, keeping: kept) {
      [self] refusal in
      if let refusal {
        refuse(request, refusal, completion)
      } else {
        sendToHub(request, payload, expected, completion)
      }
    }
    gateway.attach(request.channel)
  }
}

/// What a plugin may do to the client that caused an event.
protocol EffectTarget: AnyObject {
  func carryOut(_ effects: [Effect], in channel: LocalChannel)
}

extension PublishEffect {
  fileprivate var wireFlags: Publish.Flags {
    var flags: Publish.Flags = audience == .others ? .forOthers : []
    switch priority {
    case .low: flags.insert(.lowPriority)
    case .normal: break
    case .high: flags.insert(.highPriority)
    }
    return flags
  }
}

extension Duration {
  var millisecondsMax: Int64 {
    let (seconds, attoseconds) = components
    return seconds.multipliedReportingOverflow(by: 1000).partialValue
      &+ attoseconds / 1_000_000_000_000_000
  }
}
