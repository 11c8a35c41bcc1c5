internal import Archive
internal import Bytes
internal import ChannelKit
internal import Config
internal import JSON
internal import Link
internal import Wire

/// Streams as they are, for whoever moves them: histories with all that their chains are made of, and
/// streams that come from elsewhere.
extension ServerAPI {
  /// `history` with `exact`: each event as `EventJSON` has it, and where the stream stands.
  static func exactHistory(_ page: EventPage) -> [UInt8] {
    var writer = JSONWriter(reserving: 256 * page.events.count + 256)
    writer.beginObject()
    writer.key("publications")
    writer.beginArray()
    for event in page.events { EventJSON.append(event, to: &writer) }
    writer.endArray()
    writer.field("offset", page.head.value)
    writer.field("floor", page.floor.value)
    writer.field("epoch", page.epoch?.text ?? "")
    writer.endObject()
    return writer.bytes
  }

  /// `stream_import`: one step. Which one, the members say: `begin`, `events`, or `finish`.
  func importStream(_ value: JSONValue, _ body: [UInt8], _ completion: @escaping Completion) {
    do throws(Refusal) {
      guard key.allowsEverywhere(.admin) else { throw .outsideScope }
      guard let store = gateway.upstreams.eventstore else { throw .storeUnavailable }
      guard store.peer?.knowsImports ?? false else { throw .noTimelinesYet }
      if let begin = value["begin"] {
        try beginImport(begin, store, completion)
      } else if let finish = value["finish"] {
        try finishImport(finish, try Self.importID(value), store, completion)
      } else {
        let request = ImportEvents(
          remainingMs: gateway.settings.publishMaxMs, id: try Self.importID(value),
          events: try Self.events(body.span))
        gateway.ask(store, request, expecting: ImportReady.self) { completion($0.map(Self.ready)) }
      }
    } catch { completion(.failure(error)) }
  }

  private func beginImport(
    _ value: JSONValue, _ store: Link, _ completion: @escaping Completion
  ) throws(Refusal) {
    guard let text = value["channel"]?.string else { throw .badRequest("channel is missing") }
    guard let name = ChannelName(text), !name.isReserved else { throw .unknownChannel(text) }
    guard let policy = gateway.settings.policy(name) else { throw .unknownChannel(name) }
    guard policy.isDurable else { throw .notDurable }
    let request = BeginImport(
      remainingMs: gateway.settings.publishMaxMs, name: name, first: try Self.offset("first", value),
      chain: try Self.chain(value))
    gateway.ask(store, request, expecting: ImportReady.self) { completion($0.map(Self.ready)) }
  }

  private func finishImport(
    _ value: JSONValue, _ id: UInt64, _ store: Link, _ completion: @escaping Completion
  ) throws(Refusal) {
    let request = FinishImport(
      remainingMs: gateway.settings.publishMaxMs, id: id, last: try Self.offset("last", value),
      chain: try Self.chain(value))
    gateway.ask(store, request, expecting: Imported.self) { result in
      completion(
        result.map { done in
          var writer = JSONWriter(reserving: 160)
          writer.beginObject()
          writer.field("channel", done.head.name.text)
          writer.field("epoch", done.head.epoch?.text ?? "")
          writer.field("floor", done.head.floor.value)
          writer.field("offset", done.head.head.value)
          writer.endObject()
          return writer.bytes
        })
    }
  }

  /// A number of 64 bits, which JSON's may not hold.
  private static func ready(_ done: ImportReady) -> [UInt8] {
    [UInt8](#"{"import":"\#(done.id)","next":\#(done.next.value)}"#.utf8)
  }

  private static func importID(_ value: JSONValue) throws(Refusal) -> UInt64 {
    guard let id = value["import"]?.string.flatMap({ UInt64($0) }) else {
      throw .badRequest("give begin, or import with events or finish")
    }
    return id
  }

  private static func offset(_ member: String, _ value: JSONValue) throws(Refusal) -> Offset {
    guard let number = value[member]?.int, number >= 0 else {
      throw .badRequest("\(member) must be a whole number, 0 or more")
    }
    return Offset(UInt64(number))
  }

  private static func chain(_ value: JSONValue) throws(Refusal) -> [UInt8] {
    guard let chain = value["chain"]?.string.flatMap({ bytes(hex: $0) }), chain.count == 32 else {
      throw .badRequest("chain must be 32 bytes in hexadecimal")
    }
    return chain
  }

  /// The events of a body: out of its very bytes, since a tree of JSON keeps no white space.
  static func events(_ body: borrowing Span<UInt8>) throws(Refusal) -> [StoredEvent] {
    var events: [StoredEvent] = []
    var isSound = true
    do throws(JSONError) {
      var scanner = try JSONScanner(object: body)
      while let member = try scanner.next(body) {
        guard member.isKey("events", in: body) else { continue }
        let list = body.extracting(member.value)
        var elements = try JSONArrayScanner(array: list)
        while isSound, let element = try elements.next(list) {
          let event = EventJSON.event(list.extracting(element.value))
          isSound = event != nil && events.count < Limits.eventsMax
          if isSound, let event { events.append(event) }
        }
      }
    } catch { throw .badRequest("events must be a list of events") }
    guard isSound else { throw .badRequest("events: the one at index \(events.count) can't be taken") }
    guard !events.isEmpty else { throw .badRequest("events must be a list of events") }
    return events
  }
}
