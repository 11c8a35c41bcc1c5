/// How the channels of one type behave: the contract that every plugin conforms to.
///
/// A channel type owns the state of one channel on one event loop, and nothing else. It sees no
/// socket, thread, clock or client protocol: it is given values and answers with *effects*, which
/// the gateway carries out. A whole plugin, with nothing left out:
///
///     public import ChannelKit
///
///     /// A channel that counts "bump" events and shows every client the total.
///     public struct CounterChannel: ChannelType {
///       public static let name = "counter"
///       public static let state = StateUse.folded
///       public static let history = HistoryRequirement.kept
///       private let step: UInt64
///       private var total: UInt64 = 0
///
///       public init(channel: ChannelName, options: inout ChannelOptions)
///         throws(ChannelOptionsError)
///       {
///         step = UInt64(try options.int("step", in: 1...1_000) ?? 1)
///       }
///
///       public func decide(
///         _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
///       ) throws(ChannelError) {
///         guard event.payload.bytes.elementsEqual("bump".utf8) else {
///           throw .invalidPayload("a counter takes only bump")
///         }
///         effects.publish(event.payload)
///       }
///
///       public mutating func apply(_ publication: Publication) { total &+= step }
///
///       public func snapshot() -> [Payload] { [Payload(text: String(total))] }
///     }
///
/// It becomes usable by one line in `Plugins/Registry/Registry.swift`, and is used by a rule of the
/// configuration: `{ match: "visits:*", type: "counter", history: { size: 100 } }`.
///
/// **Two halves.** *Deciding* (`admit`, `decide`, `due`, `left`) happens on the loop of the client
/// that caused it; it reads state and returns effects, and cannot change state. *Applying* happens
/// on every loop that has subscribers, once for each publication, in the order that the sequencer
/// gave them, and is the only way state changes. So all loops of all gateways hold the same state,
/// as long as `apply` uses nothing but the state and the publication: no random numbers, no
/// iteration order of a `Set` or `Dictionary`, nothing global.
///
/// **Races.** Between a decision and its publication another publication may come first. Where that
/// must not happen, publish with `expecting: .unchanged`: the sequencer then refuses what is no
/// longer the next publication, and the gateway brings the state up to date and decides again, at
/// most `Effects.decisionsMax` times; then the event fails with `ChannelError.contended`.
///
/// **Order of effects.** Publications are sequenced first, in their order. When all of them were
/// accepted (stored, where the channel is durable) the other effects are carried out in their
/// order; when one is refused, none is.
///
/// **Failure.** A thrown `ChannelError` refuses the event and is what its sender is told; nothing
/// was published. In a channel whose state is folded it is thrown again by the state that the whole
/// history makes, before the sender is told: what one loop acknowledged, no other loop denies. Input
/// that a client made must never trap.
///
/// **Isolation.** A value lives on one loop and is never shared, so it need not be `Sendable`, and
/// its methods must not block.
///
/// Everything but `name`, `init` and `decide` has a default, and what is left at its default costs
/// nothing.
public protocol ChannelType: SendableMetatype {
  /// What a configuration's `type` calls it: 1 to 32 of `a-z`, `0-9` and `-`.
  static var name: String { get }

  /// Whether, and how, `apply` builds state. Default: `.none`, so that `apply` is never called.
  static var state: StateUse { get }

  /// The history that a rule must give channels of this type. Default: `.any`.
  static var history: HistoryRequirement { get }

  /// Which version of the type's rules a folded state was made by. Raise it when the same history
  /// makes another state than before: states that were kept count for nothing then. Default: 1.
  static var foldVersion: UInt32 { get }

  /// Who may publish where the rule doesn't say: the channel's direction (S001-08).
  ///
  /// The gateway asks before `decide`. API keys are judged by their own scopes, so an empty list
  /// means that only the API publishes. Default: nil, the listener's own default.
  static var publishers: [Principal]? { get }

  /// A new channel's value, with no publication applied.
  ///
  /// Read every option that the type knows; whoever calls this refuses the options that were left
  /// unread, so that a misspelt one is an error when the configuration is checked.
  /// - Errors: an option's value is of the wrong type or out of range.
  init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError)

  /// Whether `decide` publishes every payload as it is. Default: false.
  ///
  /// The gateway asks once a channel. If true, it calls neither `decide` nor `apply`; so `state`
  /// must be `.none`.
  var isPassThrough: Bool { get }

  /// When clients get a publication: at once (default), or merged at a frame rate.
  var delivery: Delivery { get }

  /// Decides whether a client that may subscribe by the rule is let in, before it is subscribed.
  ///
  /// Effects are carried out once the subscription stands, after the snapshot. Default: lets
  /// everyone in.
  func admit(_ client: ClientContext, _ effects: inout Effects) throws(ChannelError)

  /// Decides what becomes of an event: publish it, changed or not, answer it, or refuse it.
  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects)
    throws(ChannelError)

  /// Decides what happens when a timer comes due that `Effects.after` set for `client`.
  ///
  /// A timer belongs to the client's subscription and ends with it or with its loop, so nothing
  /// that must happen may depend on one. Default: nothing.
  func due(_ timer: TimerToken, for client: ClientContext, _ effects: inout Effects)
    throws(ChannelError)

  /// Decides what happens when a client's subscription has ended.
  ///
  /// Nobody is left to answer: only `publish` is allowed. Not called where a gateway died; presence
  /// tells of that. Default: nothing.
  func left(_ client: ClientContext, _ effects: inout Effects) throws(ChannelError)

  /// Changes state by one publication. Must give the same state on every loop; cannot fail: a
  /// publication that makes no sense is passed over.
  mutating func apply(_ publication: Publication)

  /// The history begins after `floor`: what was before is no longer kept, and is not applied. Told
  /// before the first publication, to types that fold one; nothing by default.
  mutating func begins(after floor: Offset)

  /// What a newcomer sees before the first live publication; empty by default.
  ///
  /// Stands for every publication applied so far. The same for all clients, so that it is made once
  /// for a crowd; what only one client may see is sent by `admit`. A client that comes back to a
  /// known position gets the publications that it missed instead.
  func snapshot() -> [Payload]

  /// The whole state as bytes that `restore` understands, or nil (default) where state can only be
  /// had by applying the whole history.
  func checkpoint() -> [UInt8]?

  /// Takes over the state that `checkpoint` wrote, perhaps an earlier version of it.
  ///
  /// - Errors: bytes that make no sense; the gateway then discards this value and applies the
  ///   history to a new one.
  mutating func restore(_ checkpoint: [UInt8]) throws(ChannelError)

  /// What merged delivery merges by: of publications with the same key, the latest is sent. Nil
  /// (default) is sent at once. Asked only where `delivery` merges.
  func mergeKey(of publication: Publication) -> String?

  /// The messages that one merged frame becomes, from the latest publication of every key, in the
  /// order they were published. Default: each publication's payload as it is.
  func frame(_ latest: [Publication]) -> [Payload]
}

extension ChannelType {
  public static var state: StateUse { .none }
  public static var history: HistoryRequirement { .any }
  public static var publishers: [Principal]? { nil }
  public static var foldVersion: UInt32 { 1 }
  public var isPassThrough: Bool { false }
  public var delivery: Delivery { .immediate }

  public func admit(_ client: ClientContext, _ effects: inout Effects) throws(ChannelError) {}
  public func due(_ timer: TimerToken, for client: ClientContext, _ effects: inout Effects)
    throws(ChannelError)
  {}
  public func left(_ client: ClientContext, _ effects: inout Effects) throws(ChannelError) {}
  public mutating func apply(_ publication: Publication) {}
  public mutating func begins(after floor: Offset) {}
  public func snapshot() -> [Payload] { [] }
  public func checkpoint() -> [UInt8]? { nil }
  public mutating func restore(_ checkpoint: [UInt8]) throws(ChannelError) {
    throw .invalidPayload("\(Self.name) keeps no checkpoints")
  }
  public func mergeKey(of publication: Publication) -> String? { nil }
  public func frame(_ latest: [Publication]) -> [Payload] { latest.map(\.payload) }
}
