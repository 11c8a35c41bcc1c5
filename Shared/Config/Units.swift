// How durations and byte sizes are written, in both directions.

private let durationUnits: [(name: String, milliseconds: Int64)] = [
  ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
]

private let byteUnits: [(name: String, bytes: Int64)] = [
  ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
]

/// Splits `250ms` into its whole number and its unit; nil where the number is missing or too large.
private func split(_ text: String) -> (count: Int64, unit: String)? {
  let digits = text.utf8.prefix { (48...57).contains($0) }
  guard let count = Int64(String(decoding: digits, as: UTF8.self)) else { return nil }
  return (count, String(decoding: text.utf8.dropFirst(digits.count), as: UTF8.self))
}

/// The milliseconds of `250ms`, `5s`, `5m`, `24h`, `30d`; nil for any other text.
public func milliseconds(written text: String) -> Int64? {
  guard let (count, unit) = split(text),
    let factor = durationUnits.first(where: { $0.name == unit })?.milliseconds
  else { return nil }
  let (product, overflows) = count.multipliedReportingOverflow(by: factor)
  return overflows ? nil : product
}

/// The bytes of `64KiB`, `1MiB`, `1GiB`, `512B`; nil for any other text.
func byteCount(written text: String) -> Int64? {
  guard let (count, unit) = split(text),
    let factor = byteUnits.first(where: { $0.name == unit })?.bytes
  else { return nil }
  let (product, overflows) = count.multipliedReportingOverflow(by: factor)
  return overflows ? nil : product
}

/// The shortest way to write a duration exactly: 300000 is `5m`.
func written(milliseconds: Int64) -> String {
  let unit = durationUnits.last { milliseconds != 0 && milliseconds % $0.milliseconds == 0 }
  return unit.map { "\(milliseconds / $0.milliseconds)\($0.name)" } ?? "0s"
}

/// The shortest way to write a size exactly: 65536 is `64KiB`.
func written(bytes: Int64) -> String {
  let unit = byteUnits.last { bytes != 0 && bytes % $0.bytes == 0 }
  return unit.map { $0.name == "B" ? String(bytes) : "\(bytes / $0.bytes)\($0.name)" } ?? "0"
}

extension Duration {
  /// Whole milliseconds, rounded towards zero.
  var milliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
  }
}
