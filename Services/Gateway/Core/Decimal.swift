internal import Bytes

/// Numbers as decimal digits. Pure.
enum Decimal {
  /// Of the largest number.
  private static var digitsMax: Int { 20 }

  static func append(_ number: UInt64, to bytes: inout [UInt8]) {
    var digits = InlineArray<20, UInt8>(repeating: 0)
    var first = digitsMax
    var rest = number
    repeat {
      let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
      first -= 1
      digits[first] = 48 + UInt8(truncatingIfNeeded: digit)
      rest = quotient
    } while rest > 0
    bytes.append(copying: digits.span.extracting(first..<digitsMax))
  }
}
