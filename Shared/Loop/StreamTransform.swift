internal import Bytes
internal import Platform

/// What stands between a stream and its owner and changes the bytes on their way: TLS. The stream
/// moves the bytes; this only turns them over. Loop-confined.
public protocol StreamTransform: AnyObject {
  var phase: StreamTransformPhase { get }
  /// Appends what is said first, before anything was received; a server says nothing.
  func begin(into output: inout [UInt8])
  /// Takes all of `bytes` from the peer: appends to `plaintext` what they mean, and to `output` what
  /// has to go back. Not called again once the phase is `failed`.
  func receive(_ bytes: borrowing Span<UInt8>, plaintext: inout [UInt8], output: inout [UInt8])
  /// Appends `plaintext` as it goes over the wire. Only while the phase is `open` or `ended`.
  func send(_ plaintext: borrowing Span<UInt8>, output: inout [UInt8])
  /// Appends what says that nothing more follows, once.
  func end(into output: inout [UInt8])
}

/// How far a transform is.
///
///     opening ──▶ open ──▶ ended      the peer has said that nothing more follows
///        └──────────┴───▶ failed      `output` may hold the reason for the peer
public enum StreamTransformPhase: Equatable, Sendable {
  case opening
  case open
  case ended
  case failed(reason: String)
}

/// A stream's transform and what it has turned over and the kernel has not taken yet.
///
/// Bytes stay in the stream's queue as they were given until the flush of the turn, which turns all
/// of them over and writes them in one call: a piece of `pieceBytes` at a time, so that what a slow
/// peer leaves is at most one piece more than its queue. A class, so that a stream without a transform
/// has no more than an empty reference.
final class TransformedBytes {
  let transform: any StreamTransform
  /// Whether the owner was told that it is open.
  var hasOpened = false
  /// The peer's side ended without having said so.
  var isTruncated = false
  private var output: [UInt8] = []
  private var written = 0
  private var saysEnd = false

  /// BUDGET: what is turned over before it is written.
  static let pieceBytes = 128 * 1024
  /// BUDGET: answers that the transform owes its peer and that the peer does not take.
  static let owedBytesMax = 512 * 1024

  init(_ transform: any StreamTransform) {
    self.transform = transform
    transform.begin(into: &output)
  }

  /// Bytes that the kernel has not taken.
  var count: Int { output.count - written }

  var isOpening: Bool { transform.phase == .opening }

  var failure: String? {
    if case .failed(let reason) = transform.phase { reason } else { nil }
  }

  /// Whether the peer has said that nothing more follows.
  var isEnded: Bool { transform.phase == .ended }

  /// What is queued behind this is the last.
  func sayEndBehindAll() { saysEnd = true }

  func receive(_ bytes: borrowing Span<UInt8>, plaintext: inout [UInt8]) {
    transform.receive(bytes, plaintext: &plaintext, output: &output)
  }

  /// Says the end, where nothing stands before it, in as far as the kernel takes it at once.
  func endNow(_ descriptor: borrowing Descriptor) {
    guard count == 0 else { return }
    var last: [UInt8] = []
    transform.end(into: &last)
    if !last.isEmpty { _ = Syscalls.send(descriptor, last, from: 0) }
  }

  /// Turns over what is queued and writes it, until nothing is left, the kernel takes no more, or
  /// the budget of a turn is out. While the transform opens, the queue waits.
  func write(
    _ queue: inout OutQueue, to descriptor: borrowing Descriptor, _ loop: EventLoop
  ) -> OutQueue.WriteResult {
    var left = OutQueue.budgetBytes
    while true {
      if count > 0 {
        guard left > 0 else { return keepRest(.blocked, loop) }
        switch Syscalls.send(descriptor, output, from: written) {
        case .count(let sent):
          written += sent
          left -= sent
          if count > 0 { return keepRest(.blocked, loop) }
          released(loop)
        case .wouldBlock: return keepRest(.blocked, loop)
        case .endOfStream: return .failed(32)
        case .failed(let code): return .failed(code)
        }
      }
      guard turnOver(&queue, loop) else { return .drained }
    }
  }

  /// Whether there is something more to write.
  private func turnOver(_ queue: inout OutQueue, _ loop: EventLoop) -> Bool {
    switch transform.phase {
    case .opening, .failed: return false
    case .open, .ended: break
    }
    if queue.isEmpty {
      guard saysEnd else { return false }
      transform.end(into: &output)
      return count > 0
    }
    output = loop.takeLargeBuffer()
    var scratch = loop.takeLargeBuffer()
    queue.take(upTo: Self.pieceBytes, gathering: &scratch) { piece in
      transform.send(piece, output: &output)
    }
    loop.giveBack(large: scratch)
    return count > 0
  }

  /// The loop's buffer goes back; only what is left is kept.
  private func keepRest(_ result: OutQueue.WriteResult, _ loop: EventLoop)
    -> OutQueue.WriteResult
  {
    guard written > 0 || output.capacity > 2 * count else { return result }
    let rest = Array(output[written..<output.count])
    released(loop)
    output = rest
    return result
  }

  private func released(_ loop: EventLoop) {
    var buffer: [UInt8] = []
    swap(&buffer, &output)
    written = 0
    loop.giveBack(large: buffer)
  }
}
