internal import Bytes
internal import Loop

/// What carries a session's messages to its client and back: a socket, an event stream, a poll.
///
/// A carrier knows how bytes reach its client and nothing of what a client gets; `ClientSession`
/// decides that and knows nothing of bytes. Loop-confined.
protocol Carrier: AnyObject {
  /// Publications are written to it as they are encoded, in the flush step and without another
  /// word to the carrier; nil where the carrier has to take them itself. The same for ever.
  var directStream: Stream? { get }
  /// How publications are compressed for this client; nil where they are not. The same for ever.
  var compression: SocketCompression? { get }
  /// Publications where there is no `directStream`, or where the client's compression is its own;
  /// the carrier keeps what its client has not read.
  func deliver(_ publications: EncodedPublications, of subscription: Subscription)
  /// Bytes that the client has not taken yet.
  var queuedBytes: Int { get }
  /// Whether the client takes nothing at the moment.
  var isBlocked: Bool { get }
  /// Whether another page of a replay is of use to the client.
  var takesPages: Bool { get }
  /// The session's `drained` is to be called once nothing is queued.
  func tellWhenEmpty()
  /// All that the client gets comes in one answer, which ends with what there is.
  var isOneAnswer: Bool { get }
  /// Whether the client can ask for a subscription anew, on what carries this one.
  var hearsClient: Bool { get }
  /// Whether `send` is for the client's own answers too: they are in the form of its publications.
  var takesFrames: Bool { get }
  /// Bytes in the client's form, behind all that was given before.
  func send(_ bytes: [UInt8], _ start: Int, _ end: Int)
  /// Little may be given away that hasn't been sent: the client is in channels of several lanes.
  func limitUnsent()
  /// Something that is no publication, behind all that was given before. A carrier that is closing
  /// says nothing more. What waits goes first: `ClientSession.tell` sees to that.
  func tell(_ message: ServerMessage)
  /// No further word reaches the client.
  var isClosing: Bool { get }
  /// A subscription stands, and its client is about to be told so: it has said where it begins.
  func admits(_ subscription: Subscription)
  /// The client is no longer in the channel, and stays.
  func left(_ subscription: Subscription)
  /// The first step of a subscription is settled: what follows `position` is what its client gets;
  /// `.empty`: nothing as yet; `.now`: there is no history.
  func begins(_ subscription: Subscription, after position: Subscription.Since)
  /// A publication of that first step, until it has `begun`: true where the carrier takes it into
  /// the answer to the subscription, and nothing else is to be done with it.
  func gathers(_ arrival: Arrival, of subscription: Subscription) -> Bool
  /// A publication that the subscription's filter has left out.
  func passes(_ position: Position, of subscription: Subscription)
  /// What the client has asked for of a channel that it is being subscribed to; nil: what others get.
  func tailoring(of channel: ChannelName) -> Tailoring?
  /// All that the first step had for the client has been handed over. May be told again later.
  func begun(_ subscription: Subscription)
  /// The history was empty when the subscription began, and has an epoch from now on.
  func historyBegins(_ epoch: Epoch, of subscription: Subscription)
  /// Whether the client had come before an order that stands there among all orders: one that says that
  /// it has come back on another connection.
  func isFenced(by place: Position?) -> Bool
  /// Every channel that was asked for at the beginning has been opened or refused.
  func channelsAnswered()
  /// By what the client came, as back ends are told.
  var hookDoor: HookDoor { get }
  /// What the client brought for the application with its subscription.
  func hookData(of channel: ChannelName) -> Payload?
  /// A back end lets the client into a channel, and may have something for it.
  func hookAllows(_ channel: ChannelName, _ place: HookPlace)
  /// The session can't go on; the client is told why, as far as the carrier can, and let go.
  func end(_ reason: SessionEnd)
}

extension Carrier {
  var isOneAnswer: Bool { false }
  func limitUnsent() {}
  var takesFrames: Bool { directStream != nil }
  var hearsClient: Bool { true }
  var takesPages: Bool { true }
  var compression: SocketCompression? { nil }
  func admits(_ subscription: Subscription) {}
  func left(_ subscription: Subscription) {}
  func begins(_ subscription: Subscription, after position: Subscription.Since) {}
  func gathers(_ arrival: Arrival, of subscription: Subscription) -> Bool { false }
  func passes(_ position: Position, of subscription: Subscription) {}
  func tailoring(of channel: ChannelName) -> Tailoring? { nil }
  func begun(_ subscription: Subscription) {}
  func historyBegins(_ epoch: Epoch, of subscription: Subscription) {}
  func isFenced(by place: Position?) -> Bool { false }
  func hookData(of channel: ChannelName) -> Payload? { nil }
  func hookAllows(_ channel: ChannelName, _ place: HookPlace) {}
}

/// Why a session ends before its client wants it to.
enum SessionEnd {
  /// What the session was for is not permitted, or not any more.
  case refused(Refusal)
  /// What the session is for can't be had now.
  case unavailable(Refusal)
  /// A durable channel's publications don't fit into what may wait for the client.
  case slowConsumer
  /// The gateway stops.
  case draining
}

/// Publications of one channel in one encoding, as all who get that encoding share them.
struct EncodedPublications {
  /// Where a publication ends in `bytes`, and its place in the history, if the channel has one.
  struct Mark: Equatable {
    var end: Int
    var position: Position?
  }

  var bytes: [UInt8]
  var count: Int
  /// One for each publication, of encodings that have marks.
  var marks: [Mark]
  /// One for each publication, where the channel merges.
  var keys: [MergeKey?] = []
  /// Places of the first and the last one, where they have some.
  var first: Position?
  var last: Position?

  /// The bytes, no longer held here: a buffer held twice can't be used again without a copy.
  mutating func releaseBytes() -> [UInt8] {
    var released: [UInt8] = []
    swap(&released, &bytes)
    return released
  }
}
