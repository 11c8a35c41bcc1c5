internal import JSON

/// A moment as the API takes it: milliseconds since 1970, or a text of RFC 3339 §5.6. Pure.
enum EventTime {
  /// Nil for what is neither.
  static func milliseconds(_ value: JSONValue) -> Int64? {
    if let number = value.int { return number >= 0 ? number : nil }
    return value.string.flatMap { milliseconds(rfc3339: $0) }
  }

  /// `2030-01-02T03:04:05.678+09:00`, a fraction of a second cut to milliseconds; nil for what is no
  /// such text, and before 1970.
  static func milliseconds(rfc3339 text: String) -> Int64? {
    var rest = Array(text.utf8)[...]
    func number(_ digits: Int, _ range: ClosedRange<Int64>) -> Int64? {
      let taken = rest.prefix(digits)
      guard taken.count == digits, taken.allSatisfy({ (48...57).contains($0) }) else { return nil }
      rest = rest.dropFirst(digits)
      let value = taken.reduce(Int64(0)) { $0 * 10 + Int64($1) - 48 }
      return range.contains(value) ? value : nil
    }
    func sign(_ allowed: String) -> UInt8? {
      guard let found = rest.first, allowed.utf8.contains(found) else { return nil }
      rest = rest.dropFirst()
      return found
    }
    guard let year = number(4, 1970...9999), sign("-") != nil, let month = number(2, 1...12),
      sign("-") != nil, let day = number(2, 1...days(in: month, of: year)), sign("Tt ") != nil,
      let hour = number(2, 0...23), sign(":") != nil, let minute = number(2, 0...59),
      sign(":") != nil, let second = number(2, 0...60)
    else { return nil }
    var fraction: Int64 = 0
    if sign(".") != nil {
      let digits = rest.prefix { (48...57).contains($0) }
      guard !digits.isEmpty else { return nil }
      rest = rest.dropFirst(digits.count)
      for place in 0..<3 {
        let index = digits.startIndex + place
        fraction = fraction * 10 + (index < digits.endIndex ? Int64(digits[index]) - 48 : 0)
      }
    }
    var offset: Int64 = 0
    switch sign("Zz+-") {
    case nil: return nil
    case UInt8(ascii: "Z"), UInt8(ascii: "z"): break
    case let direction:
      guard let hours = number(2, 0...23), sign(":") != nil, let minutes = number(2, 0...59) else {
        return nil
      }
      offset = (hours * 60 + minutes) * (direction == UInt8(ascii: "-") ? -60 : 60)
    }
    guard rest.isEmpty else { return nil }
    let time = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
    return time >= 0 ? time * 1_000 + fraction : nil
  }

  private static func days(in month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Days since 1970 in the Gregorian calendar. The year begins with March, so that leap days end one.
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month > 2 ? year : year - 1
    let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + ofYear - 719_468
  }
}
