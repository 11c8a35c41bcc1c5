internal import Bytes
internal import Wire

/// Where a channel's publications get their order and are kept for those who come back.
///
/// Obligations: answers of one channel come in the order of its appends, whenever they come;
/// offsets are 1, 2, 3 … without gaps within an epoch; an epoch changes whenever what was kept
/// under it may be lost. Appending with a key that is known and the same payload publishes nothing
/// and answers with the first position. Bounded in bytes over all channels.
///
/// `MemoryHistory` answers at once; an engine on another machine answers later.
protocol ChannelHistory: AnyObject {
  /// `number` is what the caller knows the channel by: a small one, at a time of one channel only.
  /// It spares the look-up by name.
  func append(
    _ event: HistoryEvent, to channel: ChannelName, number: Int, policy: HistoryPolicy
  ) -> HistoryAnswer
  func read(
    _ request: ReadHistory, _ completion: @escaping (Result<EventPage, Failure>) -> Void)
  /// Where a channel stands; nil for one that nothing is known of.
  func head(of channel: ChannelName) -> StreamHead?
  /// Makes sure that the channel has an epoch, so that a newcomer can name his position.
  func open(_ channel: ChannelName, policy: HistoryPolicy) -> StreamHead
  /// Has the channel's history end with its head, and says where that is.
  func remove(
    _ channel: ChannelName, _ completion: @escaping (Result<StreamHead, Failure>) -> Void)
  /// Nobody has the channel open: one that never had an event is forgotten, its epoch with it.
  func forgetUnused(_ channel: ChannelName)
  /// Drops what is past its age. `nowMs` is monotonic. Bounded work: what one call leaves, the
  /// next ones drop; nobody is given it meanwhile.
  func expire(nowMs: Int64)
}

/// What became of an append.
enum HistoryAnswer {
  case now(Result<HistoryAppend, Failure>)
  /// Not known yet: the function takes whom to tell, exactly once. No closure is made before one
  /// is needed, since there is an append for every publication.
  case later((@escaping (Result<HistoryAppend, Failure>) -> Void) -> Void)
}

/// How much of a channel is kept.
struct HistoryPolicy: Equatable, Sendable {
  var count: Int
  var ageMs: Int64
  init(count: Int, ageMs: Int64) {
    self.count = count
    self.ageMs = ageMs
  }
  var keepsNothing: Bool { count == 0 || ageMs == 0 }
}

/// What is to be appended.
struct HistoryEvent: Sendable {
  var timeMs: Int64
  var publisher: Publisher
  var eventType: String
  var key: String
  var expected: Offset?
  var payload: Payload
  var meta: [UInt8] = []
}

/// Where an event went.
struct HistoryAppend: Sendable {
  var position: Position
  var isDuplicate: Bool
}
