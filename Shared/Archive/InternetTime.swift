/// Moments as RFC 3339 writes them, in UTC with milliseconds: `2023-11-14T22:13:20.000Z`. Pure.
enum InternetTime {
  private static let dayMs: Int64 = 86_400_000
  /// The years 1970 to 9999.
  private static let range: Range<Int64> = 0..<253_402_300_800_000

  /// Nil outside those years.
  /// - Parameter milliseconds: since 1970.
  static func text(_ milliseconds: Int64) -> String? {
    guard range.contains(milliseconds) else { return nil }
    let (year, month, day) = date(milliseconds / dayMs)
    let rest = milliseconds % dayMs
    let clock = [(rest / 3_600_000, 2), (rest / 60_000 % 60, 2), (rest / 1_000 % 60, 2)]
      .map(padded).joined(separator: ":")
    let date = [(year, 4), (month, 2), (day, 2)].map(padded).joined(separator: "-")
    return "\(date)T\(clock).\(padded((rest % 1_000, 3)))Z"
  }

  /// Nil for anything but what `text` gives.
  static func milliseconds(_ text: String) -> Int64? {
    let bytes = [UInt8](text.utf8)
    guard bytes.count == 24 else { return nil }
    func number(_ range: Range<Int>) -> Int64? {
      bytes[range].reduce(Int64?.some(0)) { sum, byte in
        sum.flatMap { (48...57).contains(byte) ? $0 * 10 + Int64(byte - 48) : nil }
      }
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
      let thousandths = number(20..<23)
    else { return nil }
    let clock = hour * 3_600_000 + minute * 60_000 + second * 1_000 + thousandths
    let found = days(year, month, day) * dayMs + clock
    return Self.text(found) == text ? found : nil
  }

  private static func padded(_ part: (value: Int64, width: Int)) -> String {
    let digits = String(part.value)
    return String(repeating: "0", count: max(0, part.width - digits.utf8.count)) + digits
  }

  /// The date in the Gregorian calendar of a day since 1970. Years are counted from March on, so that the
  /// day that is inserted comes last.
  private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let ofEra = shifted % 146_097
    let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let fromMarch = (5 * ofYear + 2) / 153
    let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * fromMarch + 2) / 5 + 1
    )
  }

  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let era = year / 400
    let ofEra = year - era * 400
    let fromMarch = month > 2 ? month - 3 : month + 9
    let ofYear = (153 * fromMarch + 2) / 5 + day - 1
    return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
  }
}
