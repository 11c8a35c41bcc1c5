/// What the store promises, in the simplest code that says it: lists that are copied.
package struct StoreModel {
  /// One history. A fork's begins as a copy.
  package struct Timeline: Equatable {
    /// Which one it is, for good: a name may be used again.
    package var id: Int
    package var texts: [String] = []
    package var floor = 0
    /// Where it was forked, and from what it has those events: itself or what that was forked from.
    package var fork = 0
    package var owner: Int?

    package var head: Int { texts.count }
    /// The offset, and what stands there.
    package var readable: [(offset: Int, text: String)] {
      texts.indices.dropFirst(floor).map { ($0 + 1, texts[$0]) }
    }
  }

  package struct Used: Equatable {
    package var texts: [String]
    package var first: Int
    package var until: Int64
  }

  /// A producer's last append.
  package struct Produced: Equatable {
    package var epoch: UInt64
    package var sequence: UInt64
    package var first: Int
    package var until: Int64
  }

  /// An event in the order of commits.
  package struct Committed: Equatable {
    package var timeline: Int
    package var offset: Int
    package var text: String
  }

  package private(set) var timelines: [String: Timeline] = [:]
  package private(set) var order: [Committed] = []
  private var keys: [String: Used] = [:]
  /// By timeline and producer.
  private var producers: [String: Produced] = [:]
  private var made = 0
  /// What the commit under way brings.
  private var latest: [Committed] = []
  private var deleted: Set<Int> = []
  /// How long a key is known.
  private let keysKept: Int64

  package init(keysKept: Int64 = 5_000) { self.keysKept = keysKept }

  package enum Appended: Equatable {
    case appended(first: Int, last: Int)
    case duplicate(first: Int)
    case conflict(head: Int)
    case keyConflict(first: Int)
    case noSuchFork
    case fenced(UInt64)
    case gap(UInt64)
  }

  /// - Parameter producer: not together with a key.
  package mutating func append(
    _ name: String, _ texts: [String], expected: Int?, key: String?,
    producer: (id: String, epoch: UInt64, sequence: UInt64)? = nil, now: Int64
  ) -> Appended {
    if timelines[name] == nil, name.contains("@") { return .noSuchFork }
    let place = "\(timelines[name]?.id ?? -1)/\(key ?? "")"
    if key != nil, let used = keys[place], now < used.until {
      return used.texts == texts ? .duplicate(first: used.first) : .keyConflict(first: used.first)
    }
    if let producer {
      let last = producers["\(timelines[name]?.id ?? -1)/\(producer.id)"].flatMap { now < $0.until ? $0 : nil }
      let isNew = producer.epoch > last?.epoch ?? 0 || last == nil
      if let last, producer.epoch < last.epoch { return .fenced(last.epoch) }
      if !isNew, let last, producer.sequence <= last.sequence { return .duplicate(first: last.first) }
      let next = isNew ? 0 : (last?.sequence ?? 0) + 1
      if producer.sequence != next { return .gap(next) }
    }
    let head = timelines[name]?.head ?? 0
    if let expected, expected != head { return .conflict(head: head) }
    var timeline = timelines[name] ?? new()
    for text in texts {
      timeline.texts.append(text)
      latest.append(Committed(timeline: timeline.id, offset: timeline.head, text: text))
    }
    timelines[name] = timeline
    if let key {
      keys["\(timeline.id)/\(key)"] = Used(texts: texts, first: head + 1, until: now + keysKept)
    }
    if let producer {
      producers["\(timeline.id)/\(producer.id)"] = Produced(
        epoch: producer.epoch, sequence: producer.sequence, first: head + 1, until: now + keysKept)
    }
    return .appended(first: head + 1, last: timeline.head)
  }

  /// What readers of all streams are given, by positions.
  package func readable(
    prefix: String = ""
  ) -> [(position: Int, name: String, offset: Int, text: String)] {
    let names = Dictionary(uniqueKeysWithValues: timelines.map { ($1.id, $0) })
    return order.indices.compactMap { index in
      let event = order[index]
      guard let name = names[event.timeline], name.hasPrefix(prefix),
        event.offset > timelines[name]?.floor ?? .max
      else { return nil }
      return (index + 1, name, event.offset, event.text)
    }
  }

  private mutating func new() -> Timeline {
    made += 1
    return Timeline(id: made)
  }

  /// A commit brings the events of each stream together, the streams in the order of their first.
  package mutating func commit() {
    var streams: [Int] = []
    for event in latest where !streams.contains(event.timeline) { streams.append(event.timeline) }
    for stream in streams { order += latest.filter { $0.timeline == stream } }
    latest = []
  }

  package enum Forked: Equatable {
    case made
    case found
    case unknown
    case trimmed
    case ahead
    case taken
    case refused
  }

  package mutating func fork(_ source: String, as name: String, at offset: Int?) -> Forked {
    let root = source.prefix { $0 != "@" }
    guard name.hasPrefix(root + "@"), name != source else { return .refused }
    guard let from = timelines[source] else { return .unknown }
    let at = offset ?? from.head
    if at < from.floor { return .trimmed }
    if at > from.head { return .ahead }
    let owner = self.owner(of: at, in: from)
    if let other = timelines[name] {
      return other.owner == owner && other.fork == at ? .found : .taken
    }
    var fork = new()
    fork.texts = Array(from.texts[..<at])
    (fork.floor, fork.fork, fork.owner) = (from.floor, at, owner)
    timelines[name] = fork
    parents[fork.id] = (owner, at)
    return .made
  }

  /// What each fork was made of, deleted or not.
  private var parents: [Int: (owner: Int, at: Int)] = [:]

  private func owner(of offset: Int, in timeline: Timeline) -> Int {
    var id = timeline.id
    while let parent = parents[id], offset <= parent.at { id = parent.owner }
    return id
  }

  /// The floor after it.
  package mutating func trim(_ name: String, through offset: Int?) -> Int {
    guard var timeline = timelines[name] else { return 0 }
    timeline.floor = max(timeline.floor, min(offset ?? timeline.head, timeline.head))
    timelines[name] = timeline
    return timeline.floor
  }

  /// Whether there was one.
  package mutating func delete(_ name: String) -> Bool {
    guard let gone = timelines.removeValue(forKey: name) else { return false }
    deleted.insert(gone.id)
    return true
  }

  package func page(_ name: String, from: Int, backwards: Bool, count: Int) -> [(offset: Int, text: String)] {
    let readable = timelines[name]?.readable ?? []
    guard backwards else { return Array(readable.filter { $0.offset > from }.prefix(count)) }
    let head = timelines[name]?.head ?? 0
    let upper = from == 0 || from > head ? head : from - 1
    return Array(readable.filter { $0.offset <= upper }.reversed().prefix(count))
  }

  /// Why what was announced can't be right; nil where it can: all in order, but for what is trimmed
  /// or deleted, of which any part may be there.
  package func flaw(of announced: [(name: String, offset: Int, text: String)]) -> String? {
    let names = Dictionary(uniqueKeysWithValues: timelines.map { ($1.id, $0) })
    var rest = announced[...]
    for event in order {
      let name = names[event.timeline]
      if let next = rest.first, next.offset == event.offset, next.text == event.text,
        next.name == name
      {
        rest.removeFirst()
        continue
      }
      let floor = name.flatMap { timelines[$0]?.floor } ?? .max
      if event.offset > floor { return "\(name ?? "?") \(event.offset) is not announced" }
    }
    return rest.first.map { "\($0.name) \($0.offset) was not committed so" }
  }
}
