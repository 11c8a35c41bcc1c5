internal import Bytes
internal import Centrifuge
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import JSON
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// What back ends look at: histories, who is there, which channels there are.
extension ServerAPI {
  func history(_ value: JSONValue, _ completion: @escaping Completion) {
    let parameters: APIParameters.History
    do throws(Refusal) {
      parameters = try APIParameters.history(value, most: gateway.settings.pageMax)
    } catch { return completion(.failure(error)) }
    guard let name = ChannelName(parameters.channel) else {
      return completion(.failure(.unknownChannel(parameters.channel)))
    }
    guard key.allows(.history, name) else { return completion(.failure(.outsideScope)) }
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
        completion(.success(parameters.isExact ? Self.exactHistory(page) : Self.history(page)))
      }
    }
  }

  static func history(_ page: EventPage) -> [UInt8] {
    var bytes = [UInt8]("{\"publications\":[".utf8)
    for (index, event) in page.events.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      bytes.append(UInt8(ascii: "{"))
      appendMembers(of: event, to: &bytes)
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(contentsOf: "],\"offset\":\(page.head),\"epoch\":\"\(page.epoch?.text ?? "")\"}".utf8)
    return bytes
  }

  /// `,"tags":{…}` where there are some.
  static func append(_ tags: ArrivalTags?, to bytes: inout [UInt8]) {
    guard let tags, !tags.values.isEmpty else { return }
    var writer = JSONWriter()
    writer.beginObject()
    for tag in tags.values.entries { writer.field(tag.name, tag.value) }
    writer.endObject()
    bytes.append(contentsOf: ",\"tags\":".utf8)
    bytes.append(contentsOf: writer.bytes)
  }

  /// What a channel's history holds now is given to nobody any more.
  func removeHistory(_ value: JSONValue, _ completion: @escaping Completion) {
    let name: ChannelName
    switch named(value) {
    case .failure(let refusal): return completion(.failure(refusal))
    case .success(let found): name = found
    }
    guard key.allows(.remove, name) || key.allowsEverywhere(.admin) && !name.isReserved else {
      return completion(.failure(.outsideScope))
    }
    guard let policy = gateway.settings.policy(name) else {
      return completion(.failure(.unknownChannel(name)))
    }
    guard policy.history != .none else { return completion(.failure(.noHistory)) }
    // Gateways that come later would build another state than those that have seen it all.
    guard gateway.settings.registry.traits(of: policy.type)?.state != .folded else {
      return completion(.failure(.historyIsState))
    }
    guard let link = policy.isDurable ? gateway.upstreams.eventstore : gateway.upstreams.hub else {
      return completion(.failure(policy.isDurable ? .storeUnavailable : .unavailable))
    }
    guard link.peer?.knowsRemovals ?? false else { return completion(.failure(.notRemovableYet)) }
    let request = RemoveHistory(remainingMs: gateway.settings.publishMaxMs, name: name)
    gateway.ask(link, request, expecting: HistoryRemoved.self) {
      completion($0.map { _ in [UInt8]("{}".utf8) })
    }
  }

  func named(_ value: JSONValue) -> Result<ChannelName, Refusal> {
    guard let text = value["channel"]?.string else {
      return .failure(.badRequest("channel is missing"))
    }
    guard let name = ChannelName(text) else { return .failure(.unknownChannel(text)) }
    return gateway.settings.policy(name) == nil ? .failure(.unknownChannel(name)) : .success(name)
  }

  func presence(_ value: JSONValue, _ completion: @escaping Completion) {
    switch named(value) {
    case .failure(let refusal): completion(.failure(refusal))
    case .success(let name) where !key.allows(.presence, name):
      completion(.failure(.outsideScope))
    case .success(let name):
      gateway.members(of: name) { completion($0.map(Self.presence)) }
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
      for (name, info) in [("conn_info", person.info.connection), ("chan_info", person.info.channel)]
      where !info.isEmpty {
        writer.key(name)
        writer.raw(info)
      }
      writer.endObject()
    }
    writer.endObject()
    writer.endObject()
    return writer.bytes
  }

  func presenceStats(_ value: JSONValue, _ completion: @escaping Completion) {
    let name: ChannelName
    switch named(value) {
    case .failure(let refusal): return completion(.failure(refusal))
    case .success(let found): name = found
    }
    guard key.allows(.presence, name) else { return completion(.failure(.outsideScope)) }
    gateway.memberCounts(of: name) { result in
      completion(
        result.map {
          [UInt8]("{\"num_clients\":\($0.connections),\"num_users\":\($0.members)}".utf8)
        })
    }
  }

  private static let patternBytesMax = 255

  func channels(_ value: JSONValue, _ completion: @escaping Completion) {
    guard key.scopes.contains(.presence) else { return completion(.failure(.outsideScope)) }
    guard let hub = gateway.upstreams.hub else { return completion(.failure(.unavailable)) }
    guard value["pattern"]?.isNull ?? true || value["pattern"]?.string != nil else {
      return completion(.failure(.badRequest("pattern must be a string")))
    }
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

  func info(_ completion: Completion) {
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
