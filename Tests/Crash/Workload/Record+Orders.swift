import Archive
internal import Bytes
internal import EventStoreCore
internal import Wire

extension Record {
  /// Reads a piece of a stream and compares it. A read may fail; it may not be wrong.
  mutating func check(_ stream: String, _ store: EventStore) throws(StoreFailure) {
    let name = Self.name(stream)
    let reader = try StoreReader(of: store)
    guard let history = streams[stream] else {
      guard let page = try? reader.read(name, from: .zero) else { return }
      guard !stream.contains("@"), page.head == .zero, page.events.isEmpty else {
        give("a stream that is not there was read", 99)
      }
      return
    }
    let from = UInt64.random(in: 0...history.head, using: &random)
    guard let page = try? reader.read(name, from: Offset(from), count: 20) else { return }
    guard page.head.value == history.head else { give("wrong head", 99) }
    take(page.epoch, of: stream)
    let floor = see(page.floor.value, of: stream)
    let expected = history.planned.dropFirst(Int(max(from, floor)))
    guard page.events.count > 0 || expected.isEmpty else { give("an empty read", 99) }
    for (offset, (event, planned)) in zip(page.events, expected).enumerated() {
      guard event.payload == planned.event.payload,
        event.offset.value == max(from, floor) + UInt64(offset) + 1
      else { give("wrong read", 99) }
    }
  }

  /// Takes a floor that was read, which only the stream's rule may have raised.
  @discardableResult
  private mutating func see(_ floor: UInt64, of stream: String) -> UInt64 {
    guard let history = streams[stream] else { return floor }
    let isRuled = Names.kept(stream).map { floor + $0 <= history.head } ?? false
    guard floor == history.floor || isRuled && floor > history.floor else {
      give("wrong floor", 99)
    }
    if floor > history.floor { journal.line("trimmed \(stream) \(floor)") }
    streams[stream]?.floor = floor
    return floor
  }

  /// Looks where a stream stands; false where that can't be read.
  private mutating func look(at stream: String, _ reader: StoreReader) -> Bool {
    guard let head = try? reader.head(of: Self.name(stream)) else { return false }
    guard head.head.value == streams[stream]?.head else { give("wrong head", 99) }
    take(head.epoch, of: stream)
    see(head.floor.value, of: stream)
    return true
  }

  mutating func fork(_ store: EventStore) throws(StoreFailure) {
    let source = anyName()
    let root = source.prefix { $0 != "@" }
    let free = (0..<3).map { "\(root)@f\($0)" }.filter { streams[$0] == nil }
    guard let stream = free.randomElement(using: &random), streams[source] != nil,
      look(at: source, try StoreReader(of: store)), let history = streams[source]
    else { return }
    let isAtHead = Int.random(in: 0..<3, using: &random) == 0
    let at =
      isAtHead ? history.head : UInt64.random(in: history.floor...history.head, using: &random)
    let fork = History(of: history, at: at)
    journal.line(
      "fork \(stream) \(at) \(fork.floor) \(fork.chain(at: at).hexadecimal) \(source)")
    let request = ForkRequest(
      of: Self.name(source), as: Self.name(stream), at: isAtHead ? nil : Offset(at),
      epoch: history.epoch, author: "me", time: now.wall)
    switch try store.fork(request, at: now) {
    case .forked(let head, let found, .made):
      guard found.value == at, head.head.value == at, head.floor.value == fork.floor else {
        give("a fork at the wrong place", 99)
      }
      streams[stream] = fork
      take(head.epoch, of: stream)
      journal.line("forked \(stream) \(head.epoch?.text ?? "-")")
    case .outOfSpace:
      journal.line("not fork \(stream)")
      return
    default: give("a fork was refused without a reason", 99)
    }
    guard Bool.random(using: &random) else { return }
    switch try store.fork(request, at: now) {
    case .forked(let head, _, .found) where head.epoch == streams[stream]?.epoch: break
    case .outOfSpace: break
    default: give("a fork was not found again", 99)
    }
  }

  /// To an offset, or the whole history.
  mutating func trim(_ store: EventStore) throws(StoreFailure) {
    let stream = anyName()
    guard streams[stream] != nil, look(at: stream, try StoreReader(of: store)),
      let history = streams[stream]
    else { return }
    let isWhole = Int.random(in: 0..<3, using: &random) == 0
    let offset =
      isWhole ? history.head : UInt64.random(in: history.floor...history.head, using: &random)
    journal.line("trim \(stream) \(offset)")
    let trimmed = try store.trim(
      Self.name(stream), through: isWhole ? nil : Offset(offset), at: now)
    guard let trimmed else {
      journal.line("not trim \(stream)")
      return
    }
    guard trimmed.floor.value == offset, trimmed.head.value == history.head else {
      give("a history was removed to the wrong place", 99)
    }
    streams[stream]?.floor = offset
    journal.line("trimmed \(stream) \(offset)")
  }

  mutating func delete(_ store: EventStore) throws(StoreFailure) {
    let stream = anyName()
    guard let history = streams[stream] else {
      guard try store.delete(Self.name(stream), at: now) == .unknownStream else {
        give("what is not there was deleted", 99)
      }
      return
    }
    journal.line("delete \(stream)")
    switch try store.delete(Self.name(stream), at: now) {
    case .deleted:
      streams[stream] = nil
      forgetKeys(of: stream)
      if let epoch = history.epoch { pastEpochs.insert(epoch) }
      journal.line("deleted \(stream)")
    case .outOfSpace: journal.line("not delete \(stream)")
    case .unknownStream: give("a stream was not there to be deleted", 99)
    }
  }

  /// Lets the time pass in which rules are looked at and what nobody needs is removed; sees what came
  /// of it.
  mutating func reclaim(_ store: EventStore) throws(StoreFailure) {
    now.monotonic += 1_000
    for _ in 0..<Int.random(in: 1...20, using: &random) {
      try store.maintain(at: now)
      now.monotonic += 25
    }
    let reader = try StoreReader(of: store)
    for stream in streams.keys.sorted() { _ = look(at: stream, reader) }
  }
}
