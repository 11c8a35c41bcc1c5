/// Whether a newcomer is read before the kernel is asked to watch it. Pure.
///
/// Where many come at once, most have sent their first request by the time they are accepted: to read
/// it at once spares the kernel an event for each, and looking twice whether there is more. Where they
/// come one by one it would be a vain system call, so one in `probeEvery` is tried.
struct Newcomers {
  static let probeEvery = 16

  private var haveSent = true
  private var passedOver = 0
  private var isReading = false

  /// Whether to read the next one first; `came` has to follow.
  mutating func readsNext() -> Bool {
    passedOver += 1
    isReading = haveSent || passedOver >= Self.probeEvery
    if isReading { passedOver = 0 }
    return isReading
  }

  /// What became of it, which says nothing where it was not read.
  mutating func came(_ hadBytes: Bool) {
    if isReading { haveSent = hadBytes }
  }
}
