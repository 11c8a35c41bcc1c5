/// Reads the chunked coding (RFC 9112 §7.1) byte by byte, but for the data, which is only counted.
///
///     1a ; ext CRLF  data  CRLF  …  0 CRLF  name: value CRLF  …  CRLF
///
/// Every line ends in CRLF and nothing else; sizes are hexadecimal digits alone.
struct ChunkScanner: Equatable, Sendable {
  private enum Place: Equatable {
    case size(digits: Int)
    case chunkExtension
    case sizeLineFeed
    case data
    case dataCarriageReturn
    case dataLineFeed
    case trailerStart
    case trailerName
    case trailerValue
    case trailerLineFeed
    case lastLineFeed
    case ended
  }

  private var place = Place.size(digits: 0)
  /// Of the chunk: its size while that is read, then what is left of it.
  private var left = 0
  private var extensionBytes = 0
  private var trailerBytes = 0
  private var trailerFields = 0

  var isEnded: Bool { place == .ended }

  /// The next bytes of data, nil when there are none. A chunk that announces more than `allowance`
  /// is refused before any of its data.
  mutating func next(
    _ input: borrowing Span<UInt8>, _ offset: inout Int, _ allowance: Int
  ) throws(HTTPError) -> Range<Int>? {
    while offset < input.count, place != .ended {
      if place == .data {
        let count = min(left, input.count - offset)
        let range = offset..<(offset + count)
        offset += count
        left -= count
        if left == 0 { place = .dataCarriageReturn }
        return range
      }
      place = try step(input[offset], allowance)
      offset += 1
    }
    return nil
  }

  private mutating func step(_ byte: UInt8, _ allowance: Int) throws(HTTPError) -> Place {
    switch place {
    case .size(let digits): return try size(byte, digits, allowance)
    case .chunkExtension: return try chunkExtension(byte)
    case .sizeLineFeed:
      try expect(10, byte)
      return left == 0 ? .trailerStart : .data
    case .dataCarriageReturn:
      try expect(13, byte)
      return .dataLineFeed
    case .dataLineFeed:
      try expect(10, byte)
      return .size(digits: 0)
    case .trailerStart, .trailerName, .trailerValue, .trailerLineFeed: return try trailer(byte)
    case .lastLineFeed:
      try expect(10, byte)
      return .ended
    case .data, .ended: return place
    }
  }

  private func expect(_ expected: UInt8, _ byte: UInt8) throws(HTTPError) {
    guard byte == expected else { throw .malformedChunk }
  }

  private mutating func size(
    _ byte: UInt8, _ digits: Int, _ allowance: Int
  ) throws(HTTPError) -> Place {
    if let value = ByteClass.hexValue(byte) {
      // Fifteen digits stay below 2^60, so the shift can't overflow.
      guard digits < 15 else { throw .malformedChunk }
      left = left << 4 | Int(value)
      guard left <= allowance else { throw .bodyTooLarge }
      return .size(digits: digits + 1)
    }
    guard digits > 0 else { throw .malformedChunk }
    switch byte {
    case 13: return .sizeLineFeed
    case UInt8(ascii: ";"): return .chunkExtension
    default: throw .malformedChunk
    }
  }

  private mutating func chunkExtension(_ byte: UInt8) throws(HTTPError) -> Place {
    if byte == 13 { return .sizeLineFeed }
    guard byte == 9 || !ByteClass.isControl(byte) else { throw .malformedChunk }
    extensionBytes += 1
    guard extensionBytes <= HTTPLimits.extensionBytesMax else { throw .malformedChunk }
    return .chunkExtension
  }

  private mutating func trailer(_ byte: UInt8) throws(HTTPError) -> Place {
    trailerBytes += 1
    guard trailerBytes <= HTTPLimits.trailerBytesMax else { throw .headTooLarge }
    switch place {
    case .trailerStart:
      if byte == 13 { return .lastLineFeed }
      guard ByteClass.isToken(byte) else { throw .malformedField }
      trailerFields += 1
      guard trailerFields <= HTTPLimits.trailerFieldsMax else { throw .tooManyFields }
      return .trailerName
    case .trailerName:
      if byte == UInt8(ascii: ":") { return .trailerValue }
      guard ByteClass.isToken(byte) else { throw .malformedField }
      return .trailerName
    case .trailerValue:
      if byte == 13 { return .trailerLineFeed }
      guard byte == 9 || !ByteClass.isControl(byte) else { throw .malformedField }
      return .trailerValue
    default:
      guard byte == 10 else { throw .bareCarriageReturn }
      return .trailerStart
    }
  }
}
