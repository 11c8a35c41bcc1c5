/// Dates as HTTP writes them (IMF-fixdate, RFC 9110 §5.6.7).
public enum HTTPDate {
  /// `Sun, 06 Nov 1994 08:49:37 GMT`, for seconds since the beginning of 1970.
  ///
  /// Limits: years 1970 to 9999; what lies outside is moved to the nearest end.
  public static func text(secondsSince1970 seconds: Int) -> String {
    let seconds = min(max(seconds, 0), 253_402_300_799)
    let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
    let (year, month, day) = civil(days)
    let time = [rest / 3_600, rest / 60 % 60, rest % 60].map(twoDigits).joined(separator: ":")
    let fullYear = twoDigits(year / 100) + twoDigits(year % 100)
    // The first of January 1970 was a Thursday.
    let weekday = weekdays[(days + 4) % 7]
    return "\(weekday), \(twoDigits(day)) \(months[month - 1]) \(fullYear) \(time) GMT"
  }

  /// Seconds since the beginning of 1970; nil for what is none of the three forms of RFC 9110 §5.6.7.
  ///
  /// The weekday is not compared with the date. Two digits of a year mean 1970 to 2069.
  public static func seconds(of text: String) -> Int? {
    guard text.utf8.count <= 40 else { return nil }
    let words = text.split { " ,-".contains($0) }.map(String.init)
    let isUnbroken = !text.contains("-") && text.contains(",")
    switch words.count {
    // Sun, 06 Nov 1994 08:49:37 GMT; Sunday, 06-Nov-94 08:49:37 GMT
    case 6:
      guard words[5] == "GMT", words[1].utf8.count == 2 else { return nil }
      guard words[3].utf8.count == (isUnbroken ? 4 : 2), let year = number(words[3]) else { return nil }
      let full = isUnbroken ? year : year + (year < 70 ? 2000 : 1900)
      return seconds(full, words[2], words[1], words[4])
    // Sun Nov  6 08:49:37 1994
    case 5:
      guard words[4].utf8.count == 4, let year = number(words[4]) else { return nil }
      return seconds(year, words[1], words[2], words[3])
    default: return nil
    }
  }

  private static func seconds(_ year: Int, _ month: String, _ day: String, _ time: String) -> Int? {
    let clock = time.split(separator: ":", omittingEmptySubsequences: false).map { part in
      part.utf8.count == 2 ? number(String(part)) : nil
    }
    guard year >= 1970, let month = months.firstIndex(of: month), let day = number(day),
      (1...31).contains(day), clock.count == 3, let hour = clock[0], let minute = clock[1],
      let second = clock[2], hour < 24, minute < 60, second <= 60
    else { return nil }
    return (daysBefore(year, month + 1) + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second
  }

  private static func number(_ text: String) -> Int? {
    text.utf8.allSatisfy(ByteClass.isDigit) ? Int(text) : nil
  }

  /// Days from the beginning of 1970 to that of a month; the other way of `civil`.
  private static func daysBefore(_ year: Int, _ month: Int) -> Int {
    let fromMarch = month > 2 ? month - 3 : month + 9
    let year = month > 2 ? year : year - 1
    let leaps = year / 4 - year / 100 + year / 400
    return year * 365 + leaps + (153 * fromMarch + 2) / 5 - 719_468
  }

  /// The date `days` after the first of January 1970. Years run from March, so that the leap day
  /// is the last one; a cycle of 400 years has 146,097 days.
  private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
    let fromMarch = days + 719_468
    let (cycle, dayOfCycle) = fromMarch.quotientAndRemainder(dividingBy: 146_097)
    let leaps = dayOfCycle / 1_460 - dayOfCycle / 36_524 + dayOfCycle / 146_096
    let yearOfCycle = (dayOfCycle - leaps) / 365
    let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0), month, day)
  }

  private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

  private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
}
