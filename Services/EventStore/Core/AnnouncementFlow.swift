/// What is to be announced next, and what counts as announced. Pure.
///
///     behind ──asked──▶ reading ──page, nothing follows──▶ live
///       ▲                  │ page, more follows               │
///       ├──────────────────┘                                  │
///       └── hub found or lost, no credit, a refusal, a gap ◀──┘
///
/// Positions go out in order: live each as it is committed, else from pages of the outbox, one
/// question at a time. Falling behind begins a new *era*: sending starts again after what is
/// confirmed, and answers to what an earlier era sent confirm nothing, because something before
/// them may have been refused. A page is taken only as the answer to the question that is open.
///
/// INVARIANT: confirmed ≤ sent.
package struct AnnouncementFlow {
  package enum Mode: Equatable {
    case live
    case behind
    case reading(question: UInt64)
  }

  package private(set) var mode = Mode.behind
  package private(set) var hasHub = false
  /// The last position sent in this era, or that needs no sending.
  package private(set) var sent: Int64
  /// The last position known to be on disk.
  package private(set) var committed: Int64
  /// All up to here was sent and dealt with by the hub.
  package private(set) var confirmed: Int64
  package private(set) var era: UInt64 = 0
  /// Positions after `after` up to `through` were passed over: confirmed as soon as `after` is.
  private var skipped: (after: Int64, through: Int64)?

  package init(confirmed position: Int64) {
    sent = position
    committed = position
    confirmed = position
  }

  /// Nothing waits to be announced that could be.
  package var isIdle: Bool { !hasHub || mode == .live && confirmed >= committed }
  /// The outbox has to be asked for what follows `sent`.
  package var wantsPage: Bool { hasHub && mode == .behind }

  // MARK: the hub

  package mutating func hubFound() {
    hasHub = true
    fellBehind()
  }

  package mutating func hubLost() {
    hasHub = false
    fellBehind()
  }

  /// Something that was sent did not go through: all that is not confirmed is sent again.
  package mutating func fellBehind() {
    era &+= 1
    skipped = nil
    sent = confirmed
    mode = .behind
  }

  /// All after `position` is to be sent again, though it may be confirmed.
  package mutating func rewind(to position: Int64) {
    confirmed = min(confirmed, position)
    fellBehind()
  }

  // MARK: sending

  /// An event is on disk. True if it is to be sent now.
  package mutating func committed(_ position: Int64) -> Bool {
    committed = max(committed, position)
    // One that a page brought already.
    guard mode == .live, position > sent else { return false }
    guard position == sent + 1 else {
      mode = .behind
      return false
    }
    sent = position
    return true
  }

  /// Positions up to `position` are on disk and not to be sent now. The outbox tells which of those before it
  /// are.
  package mutating func passOver(through position: Int64) {
    committed = max(committed, position)
    if mode == .live, position > sent { mode = .behind }
  }

  /// The hub has dealt with all that `era` sent up to `position`.
  package mutating func confirmed(_ position: Int64, in era: UInt64) {
    guard era == self.era else { return }
    confirmed = max(confirmed, min(position, sent))
    passSkipped()
  }

  private mutating func passSkipped() {
    guard let skipped, confirmed >= skipped.after else { return }
    confirmed = max(confirmed, skipped.through)
    self.skipped = nil
  }

  // MARK: the outbox

  package mutating func asked(_ question: UInt64) {
    guard wantsPage else { return }
    mode = .reading(question: question)
  }

  /// The outbox could not be read; it is asked again. False if nobody waits for it.
  package mutating func readFailed(_ question: UInt64) -> Bool {
    guard mode == .reading(question: question) else { return false }
    mode = .behind
    return true
  }

  /// Whether a page answers the open question; any other is passed over.
  package func accepts(_ question: UInt64) -> Bool { hasHub && mode == .reading(question: question) }

  /// An event of the page that is being read. True if it is to be sent now.
  package mutating func read(_ position: Int64) -> Bool {
    guard case .reading = mode, position > sent else { return false }
    sent = position
    return true
  }

  /// The page is dealt with. What it passes over at its end needs no announcement.
  package mutating func pageRead(through position: Int64, hasMore: Bool) {
    guard case .reading = mode else { return }
    if position > sent {
      skipped = (after: sent, through: position)
      sent = position
      passSkipped()
    }
    committed = max(committed, sent)
    mode = hasMore || sent < committed ? .behind : .live
  }
}
