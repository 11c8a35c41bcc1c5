internal import Bytes
internal import EventStoreCore
internal import Wire

/// What a client does after the store died under it: tries again what was not acknowledged, by its
/// key where it has one, and must find it at its place exactly once.
struct Resume {
  private struct Request {
    var id: Int
    var stream: String
    var first: UInt64
    var planned: [Planned]
    var key: String?
  }

  /// Appends that have no answer, in order.
  private var requests: [Request] = []
  private var acked: [String: UInt64] = [:]
  /// A fork, a trim or a deletion that has none: the last thing that was tried.
  private var order: [String]?

  static func run(_ directory: String) throws(StoreFailure) {
    let path = "\(directory)/acks"
    var resume = Resume()
    for line in Journal.read(path) { resume.take(line.map { String($0) }) }
    let now = StoreInstant(monotonic: 0, wall: 1_700_000_000_000)
    let store = try EventStore(directory: directory, now: now)
    let journal = Journal(path)
    try resume.append(store, journal, now)
    try resume.order(store, journal, now)
    try store.settle(at: now)
  }

  private func append(
    _ store: EventStore, _ journal: Journal, _ now: StoreInstant
  ) throws(StoreFailure) {
    let reader = try StoreReader(of: store)
    for one in requests where one.first > acked[one.stream] ?? 0 {
      let last = one.first + UInt64(one.planned.count) - 1
      guard let head = try? reader.head(of: Record.name(one.stream)) else {
        give("can't read a head", 99)
      }
      if one.key == nil, head.head.value >= last { continue }
      let request = Record.request(one.stream, one.planned, expected: nil, key: one.key)
      guard case .committed(let receipt) = try store.commit([request], at: now)[0],
        receipt.first.value == one.first, receipt.last.value == last
      else { give("a retry of \(one.stream) \(one.first) did not find its place", 99) }
      journal.line("ack \(one.stream) \(last) \(receipt.epoch.text)")
    }
  }

  private func order(
    _ store: EventStore, _ journal: Journal, _ now: StoreInstant
  ) throws(StoreFailure) {
    guard let order, let offset = UInt64(order.count > 2 ? order[2] : "0") else { return }
    let stream = order[1]
    let name = Record.name(stream)
    switch order[0] {
    case "fork":
      let request = ForkRequest(of: Record.name(order[5]), as: name, at: Offset(offset), time: 0)
      guard case .forked(let head, _, _) = try store.fork(request, at: now),
        head.head.value == offset, let epoch = head.epoch
      else { give("a retry of the fork \(stream) did not find its place", 99) }
      journal.line("forked \(stream) \(epoch.text)")
    case "trim":
      guard let head = try store.trim(name, through: Offset(offset), at: now),
        head.floor.value == offset
      else { give("a retry of a trim of \(stream) did not find its place", 99) }
      journal.line("trimmed \(stream) \(offset)")
    default:
      guard try store.delete(name, at: now) != .outOfSpace else { give("no space", 99) }
      journal.line("deleted \(stream)")
    }
  }

  private mutating func take(_ line: [String]) {
    switch line.first {
    case "begin" where line.count == 2: begin(line[1], at: 0)
    case "try" where line.count == 8: plan(line)
    case "ack" where line.count == 4: acked[line[1]] = UInt64(line[2])
    case "no" where line.count == 4:
      requests.removeAll { $0.stream == line[1] && $0.first == UInt64(line[2]) }
    case "fork" where line.count == 6:
      begin(line[1], at: UInt64(line[2]) ?? 0)
      order = line
    case "trim" where line.count == 3, "delete" where line.count == 2: order = line
    case "forked", "trimmed", "deleted", "not": order = nil
    default: break
    }
  }

  private mutating func begin(_ stream: String, at offset: UInt64) {
    requests.removeAll { $0.stream == stream }
    acked[stream] = offset
  }

  private mutating func plan(_ line: [String]) {
    guard let id = Int(line[1]), let offset = UInt64(line[3]), let seed = UInt64(line[5]),
      let bytes = Int(line[6])
    else { return }
    let planned = Planned(seed: seed, bytes: bytes)
    if requests.last?.id == id {
      requests[requests.count - 1].planned.append(planned)
    } else {
      requests.append(
        Request(
          id: id, stream: line[2], first: offset, planned: [planned],
          key: line[7] == "-" ? nil : line[7]))
    }
  }
}
