/// What is wrong with a compressed message.
public enum InflateError: Error, Equatable, Sendable {
  /// Not DEFLATE (RFC 1951), or a reference to what the context does not hold.
  case corrupt
  /// The message ends inside a block.
  case truncated
  /// It unfolds to more than a message may have.
  case tooBig
  /// It unfolds to more than its own size makes likely.
  case bomb
}

/// Unfolds messages of permessage-deflate (RFC 7692 §7.2.2).
///
///     begin ──▶ append … append ──▶ end ──▶ begin
///                  └─▶ failed                   a kept context is lost; the connection is closed
///
/// One for each loop, with `.newForEachMessage`, serves all connections that unfold whole messages
/// with `inflate(_:into:bytesMax:)`. With `.keptBetweenMessages` it belongs to one connection and
/// costs `memoryBytes(windowBits:)`. Isolation: its holder's loop.
public final class MessageInflater {
  public enum Context: Sendable {
    case newForEachMessage
    case keptBetweenMessages
  }

  public static let windowBits = 8...15
  /// BUDGET: a message may unfold to this many times its size. Zeros alone reach 1,030; JSON that
  /// people send stays below 40. A configuration may say otherwise.
  public static let ratioMax = 100
  /// BUDGET: the ratio counts only beyond this many bytes; likewise.
  public static let ratioFreeBytes = 65_536

  private enum State {
    case between, inside, behindLastBlock
    case failed(InflateError)
  }

  private let context: Context
  private let ratioMax: Int
  private let ratioFreeBytes: Int
  private var stream: InflateStream
  private var state = State.between
  private var bytesMax = 0
  /// Bytes of the message so far, and where it begins in the output.
  private var takenBytes = 0
  private var outputStart = 0

  /// `ratioMax` is at least 1, `ratioFreeBytes` 0. `windowBits` is what the handshake agreed on for the peer's messages; 15 reads all. A value
  /// out of range is a programmer error. Without memory the process stops.
  public init(
    context: Context, windowBits: Int = 15, ratioMax: Int = MessageInflater.ratioMax,
    ratioFreeBytes: Int = MessageInflater.ratioFreeBytes
  ) {
    precondition(Self.windowBits ~= windowBits, "a window has 8 to 15 bits")
    self.ratioMax = max(1, ratioMax)
    self.ratioFreeBytes = max(0, ratioFreeBytes)
    self.context = context
    stream = InflateStream(windowBits: Int32(windowBits))
  }

  /// Bytes that it holds now, exactly: the window is allocated by the first message that needs one.
  public var heldBytes: Int { stream.heldBytes }

  /// What a decompressor holds once it is in use: its window and some 7 KiB of state.
  public static func memoryBytes(windowBits: Int) -> Int { 1 << windowBits + 7 << 10 + 512 }

  /// Appends to `output` what a whole message stands for.
  ///
  /// - Limits: at most `bytesMax` bytes, and at most `ratioMax` times the message's size beyond
  ///   `ratioFreeBytes`.
  /// - Cost: linear in what is appended; nothing is allocated for what is refused.
  /// - Errors: `output` then holds some of it.
  public func inflate(
    _ message: borrowing Span<UInt8>, into output: inout [UInt8], bytesMax: Int
  ) throws(InflateError) {
    begin(bytesMax: bytesMax, output: output)
    try append(message, into: &output)
    try end(into: &output)
  }

  /// Begins a message whose fragments come one by one. Where the context is kept, the message
  /// before has to have ended.
  ///
  /// `output` is what the pieces will be appended to; only its count matters here.
  public func begin(bytesMax: Int, output: borrowing [UInt8] = []) {
    if context == .newForEachMessage {
      stream.reset()
      state = .between
    }
    self.bytesMax = max(0, bytesMax)
    takenBytes = 0
    outputStart = output.count
    if case .between = state { state = .inside }
  }

  /// Takes the next piece of the message; the ratio is that of what has come so far.
  public func append(
    _ piece: borrowing Span<UInt8>, into output: inout [UInt8]
  ) throws(InflateError) {
    takenBytes += piece.count
    try take(piece, into: &output)
  }

  /// Ends the message: the four bytes are put back that its sender left out, and it has to end with
  /// a block. A message that ends with a *last* block, without the empty one that RFC 7692 §7.2.3.4
  /// wants behind it, is let through: nothing of it is missing.
  public func end(into output: inout [UInt8]) throws(InflateError) {
    if case .failed(let error) = state { throw error }
    if case .behindLastBlock = state {
      stream.resetKeepingWindow()
      state = .between
      return
    }
    let tail: [UInt8] = [0, 0, 0xFF, 0xFF]
    try take(tail.span, into: &output)
    guard case .inside = state, stream.isBetweenBlocks else { throw fail(.truncated) }
    state = .between
  }

  private func take(
    _ piece: borrowing Span<UInt8>, into output: inout [UInt8]
  ) throws(InflateError) {
    var offset = 0
    while offset < piece.count {
      switch state {
      case .failed(let error): throw error
      // RFC 7692 §7.2.3.4: blocks may follow a last block, in the same message.
      case .behindLastBlock: stream.resetKeepingWindow()
      case .between, .inside: break
      }
      state = .inside
      let outcome = stream.inflate(
        piece, from: &offset, into: &output, countMax: saturatingSum(outputStart, countMax))
      switch outcome {
      case .takenAll: break
      case .endOfStream: state = .behindLastBlock
      case .tooMuch: throw fail(countMax < bytesMax ? .bomb : .tooBig)
      case .corrupt: throw fail(.corrupt)
      }
    }
    if case .failed(let error) = state { throw error }
  }

  /// The most that the message may have become by now.
  private var countMax: Int {
    let (product, isOver) = takenBytes.multipliedReportingOverflow(by: ratioMax)
    return isOver ? bytesMax : min(bytesMax, max(ratioFreeBytes, product))
  }

  private func saturatingSum(_ a: Int, _ b: Int) -> Int {
    let (sum, isOver) = a.addingReportingOverflow(b)
    return isOver ? Int.max - 1 : sum
  }

  private func fail(_ error: InflateError) -> InflateError {
    state = .failed(error)
    return error
  }
}

@available(*, unavailable) extension MessageInflater: Sendable {}
