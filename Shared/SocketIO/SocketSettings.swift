/// What one Socket.IO connection may do. Names and defaults are the reference server's where it has
/// the setting.
public struct SocketSettings: Hashable, Sendable {
  /// Until the first namespace is connected.
  public var connectTimeout = Duration.seconds(45)
  /// What a packet may hold; `maxAttachments` is among it.
  public var packets = SocketLimits()
  /// How long an attachment may be owed, from what came before it on.
  public var attachmentTimeout = Duration.seconds(20)
  /// BUDGET: namespaces connected at a time.
  public var namespacesMax = 16
  /// BUDGET: events of the client that wait for their acknowledgement.
  public var unansweredMax = 4_096
  /// After that an acknowledgement isn't sent any more; its client has long given up.
  public var answerTimeout = Duration.seconds(120)
  /// BUDGET: acknowledgements of the client that are waited for.
  public var asksMax = 128

  public init() {}
}

extension UInt64 {
  /// The moment that much later; the last one there is where the sum is beyond it.
  func later(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let (whole, isOver) = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (step, isOverToo) = whole.addingReportingOverflow(
      UInt64(clamping: attoseconds / 1_000_000_000))
    let (sum, isOverAtLast) = addingReportingOverflow(step)
    return isOver || isOverToo || isOverAtLast ? .max : sum
  }
}
