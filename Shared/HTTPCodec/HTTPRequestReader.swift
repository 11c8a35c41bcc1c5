/// Turns the bytes of one connection into request heads (RFC 9112), strictly: what two readers
/// could understand in two ways is refused.
///
/// Owns what has come of an unfinished head. After a head, the caller takes its body with an
/// `HTTPBodyDecoder` from the same input before it asks for the next head. Knows no socket and no
/// clock; after an error the connection is to be answered with its status and closed.
public struct HTTPRequestReader: Sendable {
  private let limits: HTTPLimits
  private var scanner: HTTPHeadScanner
  private var failure: HTTPError?

  public init(limits: HTTPLimits = HTTPLimits()) {
    self.limits = limits
    scanner = HTTPHeadScanner(limits: limits, startLineError: .targetTooLong)
  }

  /// Whether nothing of a head has come: no deadline for the rest of it needs to run.
  public var isIdle: Bool { scanner.isEmpty }

  /// Bytes looked at so far, each once: the work done, for tests of its linearity.
  public var examinedBytes: Int { scanner.examinedBytes }

  /// The next head in `input[offset...]`, or nil when its end is not there.
  ///
  /// - Shape: `offset` moves behind the head; after nil that is the end of `input`, which need
  ///   not be given again.
  /// - Cost: each byte is looked at twice; the head is copied once.
  /// - Errors: carry the status to answer with. Every later call throws the same one.
  public mutating func next(
    _ input: borrowing Span<UInt8>, from offset: inout Int
  ) throws(HTTPError) -> HTTPRequestHead? {
    if let failure { throw failure }
    do {
      guard let head = try scanner.next(input, from: &offset) else { return nil }
      return try HTTPRequestHead(head, limits)
    } catch {
      failure = error
      throw error
    }
  }
}
