import Bytes
import Testing
import Wire

@testable import HubCore

/// A channel's name; a text outside the grammar is a mistake in the test.
func channel(_ text: String) -> ChannelName {
  guard let name = ChannelName(text) else { preconditionFailure("\(text) is no channel") }
  return name
}

func position(_ epoch: String, _ offset: UInt64) -> Position {
  guard let epoch = Epoch(epoch) else { preconditionFailure("\(epoch) is no epoch") }
  return Position(epoch: epoch, offset: Offset(offset))
}

func event(_ text: String = "x", key: String = "", expected: UInt64? = nil) -> HistoryEvent {
  HistoryEvent(
    timeMs: 1, publisher: Publisher(), eventType: "", key: key,
    expected: expected.map { Offset($0) }, payload: Payload(text: text))
}

func read(
  _ name: String, after: UInt64 = 0, count: UInt32 = 100, bytes: UInt32 = 1 << 20,
  isReverse: Bool = false
) -> ReadHistory {
  ReadHistory(
    remainingMs: 1000, name: channel(name), after: Offset(after), count: count, bytes: bytes,
    isReverse: isReverse)
}

extension EventPage {
  var offsets: [UInt64] { events.map(\.offset.value) }
  var texts: [String] { events.map { String(decoding: $0.payload.bytes, as: UTF8.self) } }
}

extension HistoryPolicy {
  static func keeping(_ count: Int, ageMs: Int64 = 60_000) -> HistoryPolicy {
    HistoryPolicy(count: count, ageMs: ageMs)
  }
}

extension MemoryHistory {
  /// Appends under a number that several names share, so that none may be taken for another.
  func append(_ event: HistoryEvent, to name: ChannelName, policy: HistoryPolicy)
    -> Result<HistoryAppend, Failure>
  {
    switch append(event, to: name, number: name.text.utf8.count % 3, policy: policy) {
    case .now(let result): return result
    case .later: return .failure(Failure(.unavailable))
    }
  }
}
