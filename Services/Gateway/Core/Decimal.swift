/// Numbers as decimal digits. Pure.
enum Decimal {
  static func append(_ number: UInt64, to bytes: inout [UInt8]) {
    guard number >= 10 else {
      bytes.append(48 + UInt8(truncatingIfNeeded: number))
      return
    }
    append(number / 10, to: &bytes)
    bytes.append(48 + UInt8(truncatingIfNeeded: number % 10))
  }
}
