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
final class ServerAPI {
  private let gateway: GatewayLoop
  /// What the caller's key opens.
  private var key = APIKeyRule(name: "", digest: [], scopes: [])

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  /// What a method answers: the JSON of its result, or an error.
  typealias Answer = Result<[UInt8], Refusal>
  typealias Completion = (Answer) -> Void

  func answer(_ exchange: HTTPExchange, _ method: String, _ body: [UInt8]) {
    guard let headers = exchange.head?.headers else { return }
    let tickets = IdentityAPI(gateway)
    if method == "ticket", let token = headers.credentials(of: "bearer") {
      return exchange.respond(tickets.ticket(bearer: token))
    }
    guard let key = gateway.settings.access.keys.find(APIKeys.offered(headers)) else {
      return exchange.respond(.unauthorized)
    }
    self.key = key
    let completion: Completion = { answer in
      switch answer {
      case .success(let result): exchange.respond(Self.response("result", result))
      case .failure(let refusal): exchange.respond(Self.response(refusal))
      }
    }
    if method == "publish" {
      do throws(Refusal) {
        return publish(try APIParameters.publish(body.span), completion)
      } catch {
        return Self.isNoObject(body) ? exchange.respond(.error(error)) : completion(.failure(error))
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
    call(method, value, body, completion)
  }

  private static func isNoObject(_ body: [UInt8]) -> Bool {
    guard let value = try? JSONValue.parse(body.span) else { return true }
    return value.object == nil
  }

  private static func response(_ name: String, _ json: [UInt8]) -> Response {
    Response(.ok, "application/json", [UInt8]("{\"\(name)\":".utf8) + json + [UInt8(ascii: "}")])
  }

  /// What is passing keeps its HTTP status, so that proxies and clients back off; the rest is 200.
  private static func response(_ refusal: Refusal) -> Response {
    var response = Response.error(refusal)
    switch refusal.status {
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
    case "publish": withParameters(value) { self.publish($0, completion) } failed: { completion(.failure($0)) }
    case "broadcast":
      withParameters(value) { self.broadcast($0, completion) } failed: { completion(.failure($0)) }
    case "history": history(value, completion)
    case "presence": presence(value, completion)
    case "presence_stats": presenceStats(value, completion)
    case "channels": channels(value, completion)
    case "info" where !key.scopes.contains(.presence): completion(.failure(.permissionDenied))
    case "info": info(completion)
    case "ticket", "revoke", "disconnect", "unsubscribe":
      guard key.allowsEverywhere(.admin) else { return completion(.failure(.permissionDenied)) }
      IdentityAPI(gateway).call(method, value, completion)
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

  private func publish(_ parameters: APIParameters.Publish, _ completion: @escaping Completion) {
    guard let channel = parameters.channels.first else {
      return completion(.failure(.badRequest("channel is missing")))
    }
    publish(parameters, to: channel, completion)
  }

  private func publish(
    _ parameters: APIParameters.Publish, to text: String, _ completion: @escaping Completion
  ) {
    guard let name = ChannelName(text) else { return completion(.failure(.unknownChannel(text))) }
    guard key.allows(.publish, name) else { return completion(.failure(.permissionDenied)) }
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
    _ completion: @escaping Completion
  ) {
    var request = PublishRequest(
      channel: channel,
      event: ChannelEvent(
        payload, idempotencyKey: parameters.key.isEmpty ? nil : parameters.key),
      client: .api, clientNumber: 0, expected: parameters.expected)
    request.skipHistory = parameters.skipHistory
    guard let hash = ArtifactNotice.sha256(of: payload) else {
      return gateway.publishing.publish(request) { completion($0.map(Self.published)) }
    }
    // Only the API may tie a stored content to a channel: readers of the channel may fetch it.
    request.eventType = ArtifactNotice.eventType
    request.meta = hash
    mayTie(hash, to: channel.name) { [gateway] refusal in
      if let refusal { return completion(.failure(refusal)) }
      gateway.publishing.publish(request) { completion($0.map(Self.published)) }
    }
  }

  /// Whether the key may open a content to a channel's readers: one that is announced nowhere yet,
  /// or there already, or in a channel that the key may read. Else a key that may only publish would
  /// open whatever it knows the hash of.
  private func mayTie(
    _ hash: [UInt8], to name: ChannelName, _ completion: @escaping (Refusal?) -> Void
  ) {
    if key.allowsEverywhere(.history) { return completion(nil) }
    guard let store = gateway.upstreams.eventstore else { return completion(.unavailable) }
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
    _ channel: LocalChannel, _ completion: @escaping Completion, _ body: @escaping () -> Void
  ) {
    guard let hub = gateway.upstreams.hub else { return completion(.failure(.unavailable)) }
    let request = CountChannels(
      remainingMs: gateway.settings.publishMaxMs, prefix: channel.name.text, after: "", limit: 1, isExact: true)
    gateway.ask(hub, request, expecting: ChannelCounts.self) { result in
      switch result {
      case .failure(let refusal): completion(.failure(refusal))
      case .success(let counts):
        if !counts.channels.isEmpty { return body() }
        completion(.success([UInt8](#"{"skipped":true}"#.utf8)))
      }
    }
  }

  private static func published(_ done: PublishResult) -> [UInt8] {
    var writer = JSONWriter(reserving: 96)
    writer.beginObject()
    ControlMessage.append(done.position, to: &writer)
    if done.isDuplicate { writer.field("duplicate", true) }
    if let reply = done.reply { try? PayloadJSON.appendMember(reply, to: &writer) }
    writer.endObject()
    return writer.bytes
  }

  private func broadcast(_ parameters: APIParameters.Publish, _ completion: @escaping Completion) {
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
        done(Self.reply(answer, name: "result"))
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
    let isParallel = value["parallel"]?.bool ?? false
    let order = BatchOrder(
      weights: commands.map(Self.weight), weightMax: isParallel ? BatchOrder.weightMax : 1)
    gather(commands.count, "replies", order, completion) { index, done in
      self.command(commands[index], done)
    }
  }

  private static func weight(_ command: JSONValue) -> Int {
    switch command.object?.members.first?.key {
    case "history", "presence", "presence_stats", "channels", "broadcast": BatchOrder.readWeight
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

  // MARK: looking

  private func history(_ value: JSONValue, _ completion: @escaping Completion) {
    let parameters: APIParameters.History
    do throws(Refusal) {
      parameters = try APIParameters.history(value, most: gateway.settings.pageMax)
    } catch { return completion(.failure(error)) }
    guard let name = ChannelName(parameters.channel) else {
      return completion(.failure(.unknownChannel(parameters.channel)))
    }
    guard key.allows(.history, name) else { return completion(.failure(.permissionDenied)) }
    guard let policy = gateway.settings.policy(name) else {
      return completion(.failure(.unknownChannel(name)))
    }
    guard policy.history != .none else { return completion(.failure(.noHistory)) }
    gateway.readHistory(
      name, policy, after: parameters.since?.offset ?? .zero, count: parameters.limit,
      bytes: 4 * 1024 * 1024, isReverse: parameters.isReverse
    ) { result in
      switch result {
      case .failure(let failure): completion(.failure(Refusal(failure)))
      case .success(let page):
        if let since = parameters.since,
          page.epoch != since.epoch || !parameters.isReverse && since.offset < page.floor
            || since.offset > page.head
        {
          return completion(.failure(.unrecoverable))
        }
        completion(.success(Self.history(page)))
      }
    }
  }

  private static func history(_ page: EventPage) -> [UInt8] {
    var bytes = [UInt8]("{\"publications\":[".utf8)
    for (index, event) in page.events.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      bytes.append(contentsOf: "{\"offset\":\(event.offset),\"time\":\(event.timeMs),".utf8)
      Encoding.appendData(event.payload, to: &bytes)
      Encoding.append(user: event.publisher.user, to: &bytes)
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(contentsOf: "],\"offset\":\(page.head),\"epoch\":\"\(page.epoch?.text ?? "")\"}".utf8)
    return bytes
  }

  private func named(_ value: JSONValue) -> Result<ChannelName, Refusal> {
    guard let text = value["channel"]?.string else {
      return .failure(.badRequest("channel is missing"))
    }
    guard let name = ChannelName(text) else { return .failure(.unknownChannel(text)) }
    return gateway.settings.policy(name) == nil ? .failure(.unknownChannel(name)) : .success(name)
  }

  private func presence(_ value: JSONValue, _ completion: @escaping Completion) {
    switch named(value) {
    case .failure(let refusal): completion(.failure(refusal))
    case .success(let name) where !key.allows(.presence, name):
      completion(.failure(.permissionDenied))
    case .success(let name): presenceList(name, from: 0, [], completion)
    }
  }

  /// BUDGET: members in one answer of the API.
  private static let membersMax = 10_000

  private func presenceList(
    _ name: ChannelName, from: UInt64, _ soFar: [Member], _ completion: @escaping Completion
  ) {
    guard let link = gateway.upstreams.presence else {
      return completion(.failure(.unavailable))
    }
    let request = ReadPresence(remainingMs: gateway.settings.publishMaxMs, channel: name, from: from, count: 1000)
    gateway.ask(link, request, expecting: PresenceList.self) { result in
      switch result {
      case .failure(let refusal): completion(.failure(refusal))
      case .success(let list):
        let members = soFar + list.members
        if list.next > from, members.count < Self.membersMax {
          return self.presenceList(name, from: list.next, members, completion)
        }
        completion(.success(Self.presence(members)))
      }
    }
  }

  private static func presence(_ members: [Member]) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("presence")
    writer.beginObject()
    for member in members {
      let person = ControlMessage.Person(member)
      writer.key(person.client)
      writer.beginObject()
      writer.field("client", person.client)
      writer.field("user", person.user)
      if !person.info.isEmpty {
        writer.key("conn_info")
        writer.raw(person.info)
      }
      writer.endObject()
    }
    writer.endObject()
    writer.endObject()
    return writer.bytes
  }

  private func presenceStats(_ value: JSONValue, _ completion: @escaping Completion) {
    let name: ChannelName
    switch named(value) {
    case .failure(let refusal): return completion(.failure(refusal))
    case .success(let found): name = found
    }
    guard key.allows(.presence, name) else { return completion(.failure(.permissionDenied)) }
    guard let link = gateway.upstreams.presence else {
      return completion(.failure(.unavailable))
    }
    let request = ReadPresence(remainingMs: gateway.settings.publishMaxMs, channel: name, count: 0)
    gateway.ask(link, request, expecting: PresenceList.self) { result in
      completion(
        result.map {
          [UInt8]("{\"num_clients\":\($0.connections),\"num_users\":\($0.total)}".utf8)
        })
    }
  }

  private static let patternBytesMax = 255

  private func channels(_ value: JSONValue, _ completion: @escaping Completion) {
    guard key.scopes.contains(.presence) else { return completion(.failure(.permissionDenied)) }
    guard let hub = gateway.upstreams.hub else { return completion(.failure(.unavailable)) }
    let pattern = value["pattern"]?.string ?? ""
    guard pattern.utf8.count <= Self.patternBytesMax else {
      return completion(
        .failure(.badRequest("a pattern has at most \(Self.patternBytesMax) bytes, as a channel's name")))
    }
    // A pattern is a prefix and a star; other patterns filter what the prefix finds.
    let prefix = String(pattern.prefix { $0 != "*" })
    let request = CountChannels(remainingMs: gateway.settings.publishMaxMs, prefix: prefix, after: "", limit: 10_000)
    gateway.ask(hub, request, expecting: ChannelCounts.self) { [key] result in
      completion(
        result.map { counts in
          var writer = JSONWriter()
          writer.beginObject()
          writer.key("channels")
          writer.beginObject()
          for entry in counts.channels
          where (pattern.isEmpty || Glob.matches(pattern, entry.name.text))
            && key.allows(.presence, entry.name)
          {
            writer.key(entry.name.text)
            writer.beginObject()
            writer.field("num_clients", Int64(entry.subscribers))
            writer.endObject()
          }
          writer.endObject()
          writer.endObject()
          return writer.bytes
        })
    }
  }

  private func info(_ completion: Completion) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("nodes")
    writer.beginArray()
    writer.beginObject()
    writer.field("uid", ClientIDText.text(gateway.identity.instance))
    writer.field("name", "gateway")
    writer.field("version", gateway.identity.software)
    writer.field("num_clients", gateway.metrics.connections.value)
    writer.field("num_channels", gateway.metrics.channels.value)
    writer.field(
      "uptime", Int64(gateway.loop.now.since(gateway.settings.startedAt).inSeconds))
    writer.endObject()
    writer.endArray()
    writer.endObject()
    completion(.success(writer.bytes))
  }
}

enum ClientIDText {
  static func text(_ number: UInt64) -> String { ClientID(number: number).text }
}

/// `*` matches any run of characters; linear in time for one star, quadratic at worst. Pure.
enum Glob {
  static func matches(_ pattern: String, _ text: String) -> Bool {
    let pattern = [UInt8](pattern.utf8)
    let text = [UInt8](text.utf8)
    var (p, t) = (0, 0)
    var star = -1
    var mark = 0
    while t < text.count {
      if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
        star = p
        mark = t
        p += 1
      } else if p < pattern.count, pattern[p] == text[t] {
        p += 1
        t += 1
      } else if star >= 0 {
        mark += 1
        t = mark
        p = star + 1
      } else {
        return false
      }
    }
    while p < pattern.count, pattern[p] == UInt8(ascii: "*") { p += 1 }
    return p == pattern.count
  }
}
