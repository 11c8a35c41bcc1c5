/// Bytes under way in both directions of a link, and who may send how many more. Pure.
///
/// Both ends begin with the same window. The receiver gives back what it has dealt with in steps
/// of half a window, so that credit costs one small frame per many megabytes.
struct CreditWindow {
  private(set) var sendable: Int
  private var unreturned = 0
  /// Something was refused since credit last came.
  private var hasRefused = false
  private let window: Int

  init(window: Int) {
    self.window = window
    sendable = window
  }

  /// Whether `bytes` may be sent now. With less than half a window under way always: the receiver
  /// may keep that much back before it grants again, and a frame larger than what is left would
  /// then never be sent.
  func allows(_ bytes: Int) -> Bool { bytes <= sendable || sendable > window / 2 }

  /// Takes `bytes` from what may be sent. Replies are sent even beyond it: their number is
  /// bounded by the requests that the peer may have under way.
  mutating func sent(_ bytes: Int) { sendable -= bytes }

  /// Something was not sent for want of credit. More credit is then sure to come: what is refused
  /// leaves at least half a window under way, and that much the receiver gives back.
  mutating func refused() { hasRefused = true }

  /// The peer grants more; never beyond the window, whatever it says. True if something had been
  /// refused before, once for each time that credit comes; what is refused while that is being
  /// told counts for the next time.
  mutating func granted(_ bytes: Int) -> Bool {
    sendable = min(window, sendable + bytes)
    defer { hasRefused = false }
    return hasRefused
  }

  /// Bytes received were dealt with. Returns credit to send now, or nil.
  mutating func consumed(_ bytes: Int) -> Int? {
    unreturned += bytes
    guard unreturned >= window / 2 else { return nil }
    let credit = unreturned
    unreturned = 0
    return credit
  }
}
