internal import Bytes
public import Loop
public import TLS

/// A TLS connection as the transform of a stream. Loop-confined.
///
/// - Memory: what `TLSConnection` holds, and nothing while idle.
public final class TLSTransform: StreamTransform {
  public let connection: TLSConnection

  public init(_ context: TLSContext) { connection = TLSConnection(context) }

  public var phase: StreamTransformPhase {
    switch connection.state {
    case .handshaking: .opening
    case .open: .open
    case .ended: .ended
    case .failed: .failed(reason: connection.failure?.reason ?? "the connection failed")
    }
  }

  public func begin(into output: inout [UInt8]) {
    // A failure is the connection's phase from then on.
    try? connection.start(into: &output)
  }

  public func receive(
    _ bytes: borrowing Span<UInt8>, plaintext: inout [UInt8], output: inout [UInt8]
  ) {
    try? connection.receive(bytes, plaintext: &plaintext, output: &output)
  }

  public func send(_ plaintext: borrowing Span<UInt8>, output: inout [UInt8]) {
    try? connection.send(plaintext, output: &output)
  }

  public func end(into output: inout [UInt8]) { connection.close(into: &output) }
}

@available(*, unavailable) extension TLSTransform: Sendable {}
