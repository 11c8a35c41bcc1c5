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
