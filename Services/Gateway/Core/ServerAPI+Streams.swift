internal import Bytes
internal import ChannelKit
internal import Config
internal import JSON
internal import Link
internal import Wire

/// What back ends do with the streams behind durable channels: list them, fork, trim, delete.
extension ServerAPI {
  /// A durable channel that a call names, and the store's link.
  private func stream(_ value: JSONValue, _ member: String = "channel") throws(Refusal) -> (
    name: ChannelName, policy: ChannelPolicy, store: Link
  ) {
    guard let text = value[member]?.string else { throw .badRequest("\(member) is missing") }
    guard let name = ChannelName(text) else { throw .unknownChannel(text) }
    guard let policy = gateway.settings.policy(name) else { throw .unknownChannel(name) }
    guard policy.isDurable else { throw .notDurable }
    return (name, policy, try store())
  }

  private func store() throws(Refusal) -> Link {
    guard let store = gateway.upstreams.eventstore else { throw .storeUnavailable }
    guard store.peer?.knowsTimelines ?? false else { throw .noTimelinesYet }
    return store
  }

  static func offset(_ member: String, _ value: JSONValue) throws(Refusal) -> Offset? {
    guard let given = value[member], !given.isNull else { return nil }
    guard let number = given.int, number >= 0 else {
      throw .badRequest("\(member) must be a whole number, 0 or more")
    }
    return Offset(UInt64(number))
  }

  private func mayRemove(_ name: ChannelName) -> Bool {
    key.allows(.remove, name) || key.allowsEverywhere(.admin) && !name.isReserved
  }

  // MARK: fork

  func fork(_ value: JSONValue, _ completion: @escaping Completion) {
    do throws(Refusal) {
      let source = try stream(value)
      guard let named = value["fork"]?.string.flatMap({ ChannelName($0) }),
        named.isFork(of: source.name)
      else {
        throw .badRequest(
          "fork must be \(source.name.root.text)@LABEL: a fork has its stream's name, @ and a label")
      }
      let fork = try stream(value, "fork")
      guard key.allows(.history, source.name), key.allows(.publish, fork.name) else {
        throw .outsideScope
      }
      // What the events mean is the type's matter: another one could make nothing of them.
      guard source.policy.type == fork.policy.type else {
        throw .badRequest(
          "the rules give \(fork.name) another type than \(source.name): a fork goes on as it began")
      }
      let request = ForkStream(
        remainingMs: gateway.settings.publishMaxMs, source: source.name, name: fork.name,
        at: try Self.offset("at", value), epoch: try Self.epoch(value),
        author: value["author"]?.string ?? key.name)
      gateway.ask(source.store, request, expecting: StreamForked.self) {
        completion($0.map(Self.forked))
      }
    } catch { completion(.failure(error)) }
  }

  private static func epoch(_ value: JSONValue) throws(Refusal) -> Epoch? {
    guard let given = value["epoch"], !given.isNull else { return nil }
    guard let epoch = given.string.flatMap({ Epoch($0) }) else {
      throw .badRequest("epoch must be an epoch's text")
    }
    return epoch
  }

  private static func forked(_ done: StreamForked) -> [UInt8] {
    var writer = JSONWriter(reserving: 160)
    writer.beginObject()
    writer.field("channel", done.head.name.text)
    writer.field("at", done.at.value)
    write(done.head, to: &writer)
    writer.field("new", done.isNew)
    writer.endObject()
    return writer.bytes
  }

  private static func write(_ head: StreamHead, to writer: inout JSONWriter) {
    writer.field("epoch", head.epoch?.text ?? "")
    writer.field("floor", head.floor.value)
    writer.field("offset", head.head.value)
  }

  // MARK: trim and delete

  func trim(_ value: JSONValue, _ completion: @escaping Completion) {
    do throws(Refusal) {
      let stream = try stream(value)
      guard mayRemove(stream.name) else { throw .outsideScope }
      // Gateways that come later would build another state than those that have seen it all.
      guard gateway.settings.registry.traits(of: stream.policy.type)?.state != .folded else {
        throw .historyIsState
      }
      let request = TrimStream(
        remainingMs: gateway.settings.publishMaxMs, name: stream.name,
        through: try Self.offset("through", value))
      gateway.ask(stream.store, request, expecting: HistoryRemoved.self) { result in
        completion(
          result.map { done in
            var writer = JSONWriter()
            writer.beginObject()
            Self.write(done.head, to: &writer)
            writer.endObject()
            return writer.bytes
          })
      }
    } catch { completion(.failure(error)) }
  }

  func deleteStream(_ value: JSONValue, _ completion: @escaping Completion) {
    do throws(Refusal) {
      let stream = try stream(value)
      guard mayRemove(stream.name) else { throw .outsideScope }
      let request = DeleteStream(
        remainingMs: gateway.settings.publishMaxMs, name: stream.name)
      gateway.ask(stream.store, request, expecting: StreamDeleted.self) {
        completion($0.map { [UInt8]("{\"forks\":\($0.forks)}".utf8) })
      }
    } catch { completion(.failure(error)) }
  }

  // MARK: list

  private static let limitMax = 1_000
  /// The store reads a block of each for its chain at an offset.
  private static let limitWithChainsMax = 16

  func streams(_ value: JSONValue, _ completion: @escaping Completion) {
    do throws(Refusal) {
      guard key.scopes.contains(.history) else { throw .outsideScope }
      for member in ["prefix", "after"] {
        guard value[member].map({ $0.isNull || $0.string != nil }) ?? true else {
          throw .badRequest("\(member) must be a string")
        }
      }
      let limit = try Self.offset("limit", value).map { Int(clamping: $0.value) } ?? 100
      let at = try Self.offset("at", value)
      let most = at == nil ? Self.limitMax : Self.limitWithChainsMax
      let request = DescribeStreams(
        remainingMs: gateway.settings.publishMaxMs, prefix: value["prefix"]?.string ?? "",
        after: value["after"]?.string ?? "", limit: UInt32(min(max(limit, 1), most)), at: at)
      let store = try store()
      guard at == nil || store.peer?.knowsImports ?? false else { throw .noTimelinesYet }
      gateway.ask(store, request, expecting: StreamDescriptions.self) { [key] result in
        completion(result.map { Self.list($0, key) })
      }
    } catch { completion(.failure(error)) }
  }

  /// What the key may read. `after` is there where more follow, whether the key may read them or not.
  private static func list(_ found: StreamDescriptions, _ key: APIKeyRule) -> [UInt8] {
    var writer = JSONWriter(reserving: 256 * found.streams.count)
    writer.beginObject()
    writer.key("streams")
    writer.beginArray()
    for stream in found.streams where key.allows(.history, stream.head.name) {
      writer.beginObject()
      writer.field("channel", stream.head.name.text)
      write(stream.head, to: &writer)
      writer.field("bytes", stream.bytes)
      writer.field("created", stream.createdMs)
      if !stream.sha256.isEmpty { writer.field("sha256", hex(stream.sha256)) }
      if stream.isFork {
        writer.key("fork")
        writer.beginObject()
        if !stream.source.isEmpty { writer.field("of", stream.source) }
        writer.field("at", stream.fork.value)
        if !stream.author.isEmpty { writer.field("author", stream.author) }
        writer.endObject()
      }
      writer.endObject()
    }
    writer.endArray()
    if found.hasMore, let last = found.streams.last { writer.field("after", last.head.name.text) }
    writer.endObject()
    return writer.bytes
  }
}
