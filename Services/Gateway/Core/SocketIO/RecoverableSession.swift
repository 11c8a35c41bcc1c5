internal import Bytes
internal import Identity
internal import Loop
internal import Platform
internal import SocketIO

/// What a client that may come back has beside its session: its secret, where it stands, and while
/// it comes back what it is to be sent. Loop-confined; held by its `SocketIOClient`.
final class RecoverableSession {
  let pid: RecoveryPID
  var places: SocketPlaces
  /// While it is not known yet whether it can be brought to where it was.
  var comeback: Comeback?
  /// The client has a string by which it could be brought back: it has to hear of changes at once.
  var holdsPosition: Bool
  /// When it is to be told where it stands, if nothing that it is sent has said so.
  var tellAt: UInt64?

  /// When it came, by the stream of orders.
  enum Arrival {
    /// With a secret that nobody had before: every order about it is later.
    case first
    /// Back, and where the stream stood then is not known yet: no order about it is taken for a later one.
    case unknown
    /// Back, and what stands there up to here is about earlier connections.
    case after(Position?)
  }
  var arrival = Arrival.first

  /// Whether an order that stands there says that the client has come back elsewhere since.
  func isFenced(by place: Position?) -> Bool {
    guard let place else { return false }
    switch arrival {
    case .first: return true
    case .unknown: return false
    // Of another epoch: the store has lost the stream that was there when the client came.
    case .after(let stood): return stood.map { $0.epoch != place.epoch || $0.offset < place.offset } ?? true
    }
  }

  /// A client that is nowhere yet.
  init(_ pid: RecoveryPID) {
    self.pid = pid
    places = SocketPlaces()
    holdsPosition = false
  }

  /// One on its way to where it was.
  init(_ pid: RecoveryPID, _ places: SocketPlaces, _ comeback: Comeback) {
    self.pid = pid
    self.places = places
    self.comeback = comeback
    arrival = .unknown
    holdsPosition = true
  }
}

/// A client on its way to where it was.
///
///     waiting ──(every channel has begun, the old connection is fenced)──▶ recovered
///        └──(one can't be had whole, or 10 s)──▶ begins anew
struct Comeback {
  /// Why it does not come to where it was.
  typealias Failure = RecoveryLabel

  /// A part of what it missed, as frames.
  struct Chunk {
    let bytes: [UInt8]
    let isFinal: Bool
  }

  let identity: Identity?
  /// Of its CONNECT.
  let auth: [UInt8]?
  /// The position that it brought.
  let offset: String
  /// The channels of which it isn't known yet.
  var awaited: Set<ChannelName>
  /// Other gateways are being told that it has come back, which is not on disk yet.
  var isFencing = false
  private(set) var missed: [Chunk] = []
  private(set) var missedBytes = 0
  /// What it is to be told behind its CONNECT.
  private(set) var notes: [ServerMessage] = []
  var failure: Failure?
  var timer: TimerID?
  var isEnding = false

  /// BUDGET: what one client may have missed in the first page of each channel, in bytes.
  static let missedBytesMax = 4 << 20
  /// BUDGET: as much of that stands before the CONNECT's answer. JavaScript's client keeps what it gets
  /// there until that answer, however many connections later, and is given it again when it comes
  /// back: a connection that breaks just there doubles it, and so it is short.
  static let earlyBytesMax = 64 << 10
  /// BUDGET: messages that are no publications.
  private static let notesMax = 1_024
  static let patience = Duration.seconds(10)

  init(
    _ identity: Identity?, _ auth: [UInt8]?, _ offset: String, _ awaited: Set<ChannelName>
  ) {
    self.identity = identity
    self.auth = auth
    self.offset = offset
    self.awaited = awaited
  }

  /// False where it is too much.
  mutating func keep(_ bytes: [UInt8], isFinal: Bool) -> Bool {
    missedBytes += bytes.count
    guard missedBytes <= Self.missedBytesMax else {
      missed = []
      return false
    }
    missed.append(Chunk(bytes: bytes, isFinal: isFinal))
    return true
  }

  /// Nothing is missing.
  var isWhole: Bool { awaited.isEmpty && !isFencing }

  /// How many chunks stand before the CONNECT's answer.
  var early: Int {
    var room = Self.earlyBytesMax
    return missed.prefix {
      room -= $0.bytes.count
      return room >= 0
    }.count
  }

  /// False where they are too many.
  mutating func keep(_ note: ServerMessage) -> Bool {
    guard notes.count < Self.notesMax else { return false }
    notes.append(note)
    return true
  }
}

/// What a CONNECT says of an earlier connection. Pure.
struct RecoveryClaim {
  let pid: RecoveryPID
  /// Nil where it brought none, or none that is one.
  let places: [ChannelName: Subscription.Since]?

  /// Nil where it brings no secret that this user was given.
  init?(_ said: SocketRecovery, of user: String?, channelsMax: Int) {
    guard let pid = RecoveryPID(said.pid, of: user) else { return nil }
    self.pid = pid
    places = said.offset.flatMap { pid.isStale($0) ? nil : RecoveryVector.decode($0, countMax: channelsMax) }
  }
}
