/// A part of a body.
public enum HTTPBodyEvent: Equatable, Sendable {
  /// Where the next bytes of the body stand in the input; never empty.
  case bytes(Range<Int>)
  /// The body is complete; what follows in the input is the next message.
  case end
}

/// Finds the bytes of one body in what a connection receives (RFC 9112 §6, §7).
///
///     length     remaining ──▶ ended
///     chunked    size ──▶ data ──▶ data's CRLF ──▶ size … last size ──▶ trailers ──▶ ended
///     untilClose data … receivedEnd() ──▶ ended
///
/// Holds no byte of the body. Chunk extensions and trailers are checked, counted and dropped: a
/// trailer never becomes a field.
public struct HTTPBodyDecoder: Sendable {
  private enum State: Equatable {
    case counted(left: Int)
    case untilClose
    case chunks(ChunkScanner)
    case ended
    case finished
  }

  private var state: State
  /// Bytes that the body may still bring.
  private var allowance: Int
  private var failure: HTTPError?

  /// - Errors: `bodyTooLarge` where the head already announces more than `bytesMax`.
  public init(_ framing: HTTPBodyFraming, bytesMax: Int) throws(HTTPError) {
    allowance = bytesMax
    switch framing {
    case .none: state = .ended
    case .length(let count):
      guard count <= bytesMax else { throw .bodyTooLarge }
      state = count == 0 ? .ended : .counted(left: count)
    case .chunked: state = .chunks(ChunkScanner())
    case .untilClose: state = .untilClose
    }
  }

  /// Whether `.end` has been given.
  public var isFinished: Bool { state == .finished }

  /// The next part in `input[offset...]`, or nil when there is none. `offset` moves behind what was
  /// taken; after `.end` nothing more is.
  ///
  /// Ask until it says nil, even when `offset` has reached the end of the input: `.end` needs no
  /// byte of its own where the length is known.
  public mutating func next(
    _ input: borrowing Span<UInt8>, from offset: inout Int
  ) throws(HTTPError) -> HTTPBodyEvent? {
    if let failure { throw failure }
    do {
      return try advance(input, &offset)
    } catch {
      failure = error
      throw error
    }
  }

  /// Says that the connection brings nothing more: `.end` for a body that ends so.
  ///
  /// - Errors: `truncatedBody` where the body was not complete.
  public mutating func receivedEnd() throws(HTTPError) -> HTTPBodyEvent? {
    switch state {
    case .untilClose, .ended:
      state = .finished
      return .end
    case .finished: return nil
    case .counted, .chunks: throw .truncatedBody
    }
  }

  private mutating func advance(
    _ input: borrowing Span<UInt8>, _ offset: inout Int
  ) throws(HTTPError) -> HTTPBodyEvent? {
    switch state {
    case .finished: return nil
    case .ended:
      state = .finished
      return .end
    case .counted(let left):
      guard let range = take(left, input, &offset) else { return nil }
      state = range.count == left ? .ended : .counted(left: left - range.count)
      return .bytes(range)
    case .untilClose:
      if allowance == 0, offset < input.count { throw .bodyTooLarge }
      guard let range = take(allowance, input, &offset) else { return nil }
      allowance -= range.count
      return .bytes(range)
    case .chunks(var chunks):
      let found = try chunks.next(input, &offset, allowance)
      state = chunks.isEnded ? .ended : .chunks(chunks)
      if let found {
        // The scanner has held the chunk to the allowance before its first byte.
        allowance -= found.count
        return .bytes(found)
      }
      return chunks.isEnded ? try advance(input, &offset) : nil
    }
  }

  private func take(
    _ most: Int, _ input: borrowing Span<UInt8>, _ offset: inout Int
  ) -> Range<Int>? {
    let count = min(most, input.count - offset)
    guard count > 0 else { return nil }
    let range = offset..<(offset + count)
    offset += count
    return range
  }
}
