internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import JSON
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// `POST /api/{method}`: the API for back ends, in Centrifugo's shapes.
///
/// Logical errors are 200 with `{"error":{code,message}}`; 400 only for a body that is no JSON
/// object, 401 without a right key. Each method gives its answer's JSON to a completion, so that
/// *batch* can put several together.
final class ServerAPI: PublicationOwner {
  let gateway: GatewayLoop
  private let client: PeerIdentity
  let found: APIKeys.Found

  /// - Parameter found: a key in force.
  init(_ gateway: GatewayLoop, _ client: PeerIdentity, _ found: APIKeys.Found) {
    self.gateway = gateway
    self.client = client
    self.found = found
  }

  /// What the caller's key opens.
  var key: APIKeyRule { found.rule ?? APIKeyRule(name: "", digest: [], scopes: []) }

  private func allows(_ scope: APIScopes, _ channel: ChannelName) -> Bool {
    found.rule?.allows(scope, channel) ?? false
  }

  /// What a method answers: the JSON of its result, or an error.
  typealias Answer = Result<[UInt8], Refusal>
  typealias Completion = (Answer) -> Void

  static func answer(
    _ exchange: HTTPExchange, _ method: String, _ body: [UInt8], on gateway: GatewayLoop
  ) {
    guard let asked = exchange.asked else { return }
    if method == "ticket", let token = asked.head.headers.credentials(of: "bearer") {
      return exchange.respond(IdentityAPI(gateway).ticket(bearer: token))
    }
    guard let key = exchange.foundKey, key.rule != nil else { return exchange.respond(.error(.unauthorized)) }
    asked.api(gateway, key).answer(exchange, method, body)
  }

  private func answer(_ exchange: HTTPExchange, _ method: String, _ body: [UInt8]) {
    if method == "publish" { return publish(exchange, body.span) }
    let completion: Completion = { answer in
      switch answer {
      // Centrifugo's one answer that is no result.
      case .success(let result) where method == "batch":
        exchange.respond(Response(.ok, "application/json", result))
      case .success(let result): exchange.respond(Self.response("result", result))
      case .failure(let refusal): exchange.respond(Self.response(refusal))
      }
    }
    let value: JSONValue
    let text = body.isEmpty ? [UInt8]("{}".utf8) : body
    do throws(JSONError) {
      value = try JSONValue.parse(text.span)
    } catch {
      return exchange.respond(.error(.badRequest("the body is no JSON: \(error)")))
    }
    guard value.object != nil else {
      return exchange.respond(.error(.badRequest("the body must be a JSON object")))
    }
    // Who waits for an event waits for no gateway that ends.
    if method == "events" { exchange.hurried = { completion(.failure(.unavailable)) } }
    call(method, value, body, completion)
  }

  /// The method that is called most: read and answered without a tree of JSON.
  func publish(_ exchange: HTTPExchange, _ body: borrowing Span<UInt8>) {
    do throws(Refusal) {
      publish(try APIParameters.publish(body)) { result in
        switch result {
        case .success(let done): exchange.respond(done)
        case .failure(let refusal): exchange.respond(Self.response(refusal))
        }
      }
    } catch {
      exchange.respond(Self.isNoObject(body) ? .error(error) : Self.response(error))
    }
  }

  /// Keys are back ends', and those are known by where they are.
  var memoryAccount: MemoryAccount {
    guard gateway.binds(client) else { return .alone(ObjectIdentifier(self)) }
    return .address(AddressKey(client))
  }

  /// Every call has an answer.
  func publicationRefused(in channel: LocalChannel, _ refusal: Refusal) {}

  private static func isNoObject(_ body: borrowing Span<UInt8>) -> Bool {
    guard let value = try? JSONValue.parse(body) else { return true }
    return value.object == nil
  }

  private static func response(_ name: String, _ json: [UInt8]) -> Response {
    Response(.ok, "application/json", [UInt8]("{\"\(name)\":".utf8) + json + [UInt8(ascii: "}")])
  }

  /// What is passing keeps its HTTP status, so that proxies and clients back off, and so does what
  /// the key does not open; the rest is 200.
  private static func response(_ refusal: Refusal) -> Response {
    var response = Response.error(refusal)
    switch refusal.status {
    case .forbidden where refusal == .outsideScope || refusal == .contentOfOthers: break
    case .tooManyRequests, .serviceUnavailable, .gatewayTimeout, .insufficientStorage: break
    case .contentTooLarge: break
    default: response.status = .ok
    }
    return response
  }

  private func call(
    _ method: String, _ value: JSONValue, _ body: [UInt8], _ completion: @escaping Completion
  ) {
    switch method {
    case "publish":
      withParameters(value) {
        self.publish($0) { completion($0.map(Self.published)) }
      } failed: { completion(.failure($0)) }
    case "broadcast":
      withParameters(value) { self.broadcast($0, completion) } failed: { completion(.failure($0)) }
    case "history": history(value, completion)
    case "presence": presence(value, completion)
    case "presence_stats": presenceStats(value, completion)
    case "channels": channels(value, completion)
    case "info" where !key.scopes.contains(.presence): completion(.failure(.outsideScope))
    case "info": info(completion)
    case "ticket", "revoke", "disconnect", "unsubscribe", "subscribe", "refresh":
      guard key.allowsEverywhere(.admin) else { return completion(.failure(.outsideScope)) }
      IdentityAPI(gateway).call(method, value, completion)
    case "history_remove": removeHistory(value, completion)
    case "streams": streams(value, completion)
    case "events": events(value, completion)
    case "state": state(value, completion)
    case "stream_fork": fork(value, completion)
    case "stream_trim": trim(value, completion)
    case "stream_delete": deleteStream(value, completion)
    case "stream_import": importStream(value, body, completion)
    case "batch": batch(value, completion)
    default: completion(.failure(.methodNotFound))
    }
  }

  private func withParameters(
    _ value: JSONValue, _ body: (APIParameters.Publish) -> Void, failed: (Refusal) -> Void
  ) {
    var writer = JSONWriter()
    writer.value(value)
    do throws(Refusal) {
      body(try APIParameters.publish(writer.bytes.span))
    } catch { failed(error) }
  }

  // MARK: publishing

  /// What became of a publication.
  private typealias Publication = Publishing.Completion

  private func publish(_ parameters: APIParameters.Publish, _ completion: @escaping Publication) {
    guard let channel = parameters.firstChannel else {
      return completion(.failure(.badRequest("channel is missing")))
    }
    publish(parameters, to: channel, completion)
  }

  private func publish(
    _ parameters: APIParameters.Publish, to text: String, _ completion: @escaping Publication
  ) {
    guard let name = ChannelName(text) else { return completion(.failure(.unknownChannel(text))) }
    guard allows(.publish, name) else { return completion(.failure(.outsideScope)) }
    guard let payload = parameters.payload else {
      return completion(.failure(.badRequest("data or b64data is missing")))
    }
    let channel: LocalChannel
    switch gateway.channel(name) {
    case .success(let found): channel = found
    case .failure(let refusal): return completion(.failure(refusal))
    }
    if parameters.onlyIfSubscribed {
      return ifSubscribed(channel, completion) {
        self.publish(parameters, payload, to: channel, completion)
      }
    }
    publish(parameters, payload, to: channel, completion)
  }

  private func publish(
    _ parameters: APIParameters.Publish, _ payload: Payload, to channel: LocalChannel,
    _ completion: @escaping Publication
  ) {
    var request = PublishRequest(
      channel: channel,
      event: ChannelEvent(
        payload, idempotencyKey: parameters.key.isEmpty ? nil : parameters.key),
      client: .api, clientNumber: 0, expected: parameters.expected)
    request.skipHistory = parameters.skipHistory
    request.publisher = self
    request.producer = parameters.producer
    if parameters.producer != nil {
      guard parameters.key.isEmpty else {
        return completion(.failure(.badRequest("send producer or idempotency_key, not both")))
      }
      guard channel.isDurable, !parameters.skipHistory else { return completion(.failure(.notDurable)) }
    }
    request.eventType = parameters.type
    guard let hash = ArtifactNotice.sha256(of: payload) else {
      request.meta = parameters.ids.meta(with: parameters.tags?.meta ?? [])
      return gateway.publishing.publish(request, completion)
    }
    guard parameters.tags == nil, parameters.ids == EventIDs(), parameters.type.isEmpty else {
      return completion(
        .failure(.badRequest("what announces an artifact has no tags, no ids and no type")))
    }
    // Only the API may tie a stored content to a channel: readers of the channel may fetch it.
    request.eventType = ArtifactNotice.eventType
    request.meta = hash
    mayTie(hash, to: channel.name) { [gateway] refusal in
      if let refusal { return completion(.failure(refusal)) }
      gateway.publishing.publish(request, completion)
    }
  }

  /// Whether the key may open a content to a channel's readers: one that is announced nowhere yet,
  /// or there already, or in a channel that the key may read. Else a key that may only publish would
  /// open whatever it knows the hash of.
  private func mayTie(
    _ hash: [UInt8], to name: ChannelName, _ completion: @escaping (Refusal?) -> Void
  ) {
    if key.allowsEverywhere(.history) { return completion(nil) }
    guard let store = gateway.upstreams.eventstore else { return completion(.storeUnavailable) }
    let find = FindArtifact(remainingMs: gateway.settings.publishMaxMs, sha256: hash)
    gateway.ask(store, find, expecting: ArtifactStreams.self) { [key] result in
      switch result {
      case .failure(let refusal): completion(refusal)
      case .success(let found):
        let may = found.streams.isEmpty
          || found.streams.contains { $0 == name || key.allows(.history, $0) }
        completion(may ? nil : .contentOfOthers)
      }
    }
  }

  private func ifSubscribed(
    _ channel: LocalChannel, _ completion: @escaping Publication, _ body: @escaping () -> Void
  ) {
    guard let hub = gateway.upstreams.hub else { return completion(.failure(.unavailable)) }
    let request = CountChannels(
      remainingMs: gateway.settings.publishMaxMs, prefix: channel.name.text, after: "", limit: 1, isExact: true)
    gateway.ask(hub, request, expecting: ChannelCounts.self) { result in
      switch result {
      case .failure(let refusal): completion(.failure(refusal))
      case .success(let counts):
        if !counts.channels.isEmpty { return body() }
        completion(.success(PublishResult(isSkipped: true)))
      }
    }
  }

  /// `{"result":…}`.
  static func answer(_ done: PublishResult) -> [UInt8] {
    [UInt8]("{\"result\":".utf8) + published(done) + [UInt8(ascii: "}")]
  }

  static func published(_ done: PublishResult) -> [UInt8] {
    if done.isSkipped { return [UInt8](#"{"skipped":true}"#.utf8) }
    var writer = JSONWriter(reserving: 96)
    writer.beginObject()
    ControlMessage.append(done.position, to: &writer)
    if done.isDuplicate { writer.field("duplicate", true) }
    if let reply = done.reply { try? PayloadJSON.appendMember(reply, to: &writer) }
    writer.endObject()
    return writer.bytes
  }

  private func broadcast(_ parameters: APIParameters.Publish, _ completion: @escaping Completion) {
    guard key.scopes.contains(.publish) else { return completion(.failure(.outsideScope)) }
    guard !parameters.channels.isEmpty else {
      return completion(.failure(.badRequest("channels is missing")))
    }
    let most = gateway.settings.batchMax
    guard parameters.channels.count <= most else {
      gateway.metrics.limits.reached(.batchCommands)
      return completion(.failure(.badRequest("a broadcast goes to at most \(most) channels")))
    }
    let count = parameters.channels.count
    let together = BatchOrder(weights: Array(repeating: 1, count: count), weightMax: .max)
    gather(count, "responses", together, completion) { index, done in
      self.publish(parameters, to: parameters.channels[index]) { answer in
        done(Self.reply(answer.map(Self.published), name: "result"))
      }
    }
  }

  /// Runs calls as `order` says and answers with the list of their answers.
  private func gather(
    _ count: Int, _ name: String, _ order: BatchOrder, _ completion: @escaping Completion,
    _ start: @escaping BatchRun.Start
  ) {
    let leftOut = Self.reply(.failure(.batchIsFull), name: "error")
    BatchRun(count, order, leftOut: leftOut, start) { replies in
      completion(.success(BatchRun.list(name, replies)))
    }.advance()
  }

  private static func reply(_ answer: Answer, name: String) -> [UInt8] {
    switch answer {
    case .success(let result):
      return [UInt8]("{\"\(name)\":".utf8) + result + [UInt8(ascii: "}")]
    case .failure(let refusal):
      var writer = JSONWriter()
      writer.beginObject()
      writer.key("error")
      refusal.append(to: &writer)
      writer.endObject()
      return writer.bytes
    }
  }

  private func batch(_ value: JSONValue, _ completion: @escaping Completion) {
    let most = gateway.settings.batchMax
    guard let commands = value["commands"]?.array, commands.count <= most else {
      if value["commands"]?.array != nil { gateway.metrics.limits.reached(.batchCommands) }
      return completion(.failure(.badRequest("commands must be a list of at most \(most)")))
    }
    guard !commands.isEmpty else { return completion(.success([UInt8](#"{"replies":[]}"#.utf8))) }
    let isParallel: Bool
    do throws(Refusal) { isParallel = try APIParameters.flag("parallel", in: value) } catch {
      return completion(.failure(error))
    }
    let order = BatchOrder(
      weights: commands.map(Self.weight), weightMax: isParallel ? BatchOrder.weightMax : 1)
    gather(commands.count, "replies", order, completion) { index, done in
      self.command(commands[index], done)
    }
  }

  private static func weight(_ command: JSONValue) -> Int {
    switch command.object?.members.first?.key {
    case "history", "presence", "presence_stats", "channels", "streams", "events", "state", "broadcast":
      BatchOrder.readWeight
    default: 1
    }
  }

  private func command(_ value: JSONValue, _ done: @escaping ([UInt8]) -> Void) {
    guard let member = value.object?.members.first, value.object?.count == 1,
      member.key != "batch", member.value.object != nil
    else {
      return done(
        Self.reply(.failure(.badRequest("a command is one {\"method\":{…}}")), name: "error"))
    }
    call(member.key, member.value, []) { done(Self.reply($0, name: member.key)) }
  }
}
