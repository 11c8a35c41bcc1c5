internal import Bytes
internal import EventStoreCore
internal import Wire

/// What a client does after the store died under it: tries again what was not acknowledged, by its
/// key where it has one, and must find it at its place exactly once.
struct Resume {
  private struct Request {
    var stream: String
    var first: UInt64
    var planned: [Planned]
    var key: String?
  }

  static func run(_ directory: String) throws(StoreFailure) {
    let path = "\(directory)/acks"
    let open = unacknowledged(Journal.read(path))
    let now = StoreInstant(monotonic: 0, wall: 1_700_000_000_000)
    let store = try EventStore(directory: directory, now: now)
    let reader = try StoreReader(of: store)
    let journal = Journal(path)
    for one in open {
      let last = one.first + UInt64(one.planned.count) - 1
      guard let name = ChannelName(one.stream), let head = try? reader.head(of: name).head.value
      else {
        give("can't read a head", 99)
      }
      if one.key == nil, head >= last { continue }
      let request = Record.request(one.stream, one.planned, expected: nil, key: one.key)
      guard case .committed(let receipt) = try store.commit([request], at: now)[0],
        receipt.first.value == one.first, receipt.last.value == last
      else { give("a retry of \(one.stream) \(one.first) did not find its place", 99) }
      journal.line("ack \(one.stream) \(last)")
    }
    try store.settle(at: now)
  }

  /// The tries that have neither answer, in order.
  private static func unacknowledged(_ lines: [[Substring]]) -> [Request] {
    var requests: [(id: Int, request: Request)] = []
    var acked: [String: UInt64] = [:]
    for line in lines {
      switch line.first {
      case "try" where line.count == 8:
        guard let id = Int(line[1]), let offset = UInt64(line[3]), let seed = UInt64(line[5]),
          let bytes = Int(line[6])
        else { continue }
        let planned = Planned(seed: seed, bytes: bytes)
        if requests.last?.id == id {
          requests[requests.count - 1].request.planned.append(planned)
        } else {
          requests.append(
            (
              id,
              Request(
                stream: String(line[2]), first: offset, planned: [planned],
                key: line[7] == "-" ? nil : String(line[7]))
            ))
        }
      case "ack" where line.count == 3:
        acked[String(line[1])] = UInt64(line[2])
      case "no" where line.count == 4:
        requests.removeAll { $0.request.stream == line[1] && $0.request.first == UInt64(line[2]) }
      default: break
      }
    }
    return requests.map(\.request).filter { $0.first > acked[$0.stream] ?? 0 }
  }
}
