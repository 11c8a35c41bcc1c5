/// A number as decimal digits, of any length, compared without rounding.
struct DecimalNumber: Sendable, Hashable, Comparable {
  private let isNegative: Bool
  /// Before the point, without zeros in front; empty for none.
  private let whole: [UInt8]
  /// After the point, without zeros at the end.
  private let fraction: [UInt8]

  /// `[+-] digits [. digits]`; nil for every other text.
  init?(_ text: String) {
    var digits = Substring(text).utf8
    let sign = digits.first
    if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { digits = digits.dropFirst() }
    let parts = digits.split(
      separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard
      parts.allSatisfy({ part in
        !part.isEmpty && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      })
    else { return nil }
    whole = Array(parts[0].drop { $0 == UInt8(ascii: "0") })
    let reversed = parts.count < 2 ? [] : Array(parts[1].reversed())
    fraction = reversed.drop { $0 == UInt8(ascii: "0") }.reversed()
    isNegative = sign == UInt8(ascii: "-") && !(whole.isEmpty && fraction.isEmpty)
  }

  static func < (a: DecimalNumber, b: DecimalNumber) -> Bool {
    if a.isNegative != b.isNegative { return a.isNegative }
    let (low, high) = a.isNegative ? (b, a) : (a, b)
    if low.whole.count != high.whole.count { return low.whole.count < high.whole.count }
    if low.whole != high.whole { return low.whole.lexicographicallyPrecedes(high.whole) }
    // A fraction that the other one continues is the smaller one, as with words.
    return low.fraction.lexicographicallyPrecedes(high.fraction)
  }
}
