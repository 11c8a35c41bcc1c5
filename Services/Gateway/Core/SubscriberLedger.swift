internal import Bytes
internal import Synchronization

/// How many subscribe here to channels whose rule bounds that, through all loops: each loop alone
/// would let in as many as the rule allows, before the hub can tell it of the others'. Any thread;
/// channels without a bound never come here.
final class SubscriberLedger: Sendable {
  private let counts = Mutex<[ChannelName: Int]>([:])

  /// Counts one more; false where there are as many as there may be.
  func enter(_ channel: ChannelName, most: Int) -> Bool {
    counts.withLock { counts in
      let count = counts[channel] ?? 0
      guard count < most else { return false }
      counts[channel] = count + 1
      return true
    }
  }

  func leave(_ channel: ChannelName) {
    counts.withLock { counts in
      guard let count = counts[channel] else { return }
      counts[channel] = count > 1 ? count - 1 : nil
    }
  }
}
