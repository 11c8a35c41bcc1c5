internal import Link
internal import Loop
internal import Wire

/// How many subscribers channels have on this loop, told to the hub: at once where a channel has its
/// first, since what nobody listens to may not be published, and where no more than so many may
/// subscribe, since others wait for the seats; else together, at most once in a pause.
final class SubscriberReports {
  private let gateway: GatewayLoop
  private var changed: [LocalChannel] = []
  private let news: PacedWork

  /// BUDGET: how long a count waits behind others that were told just before.
  private static let pause = Duration.milliseconds(100)

  init(_ gateway: GatewayLoop) {
    self.gateway = gateway
    news = PacedWork(gateway.loop, every: Self.pause) { [unowned gateway] in
      gateway.subscriberReports.report()
    }
  }

  /// The channel calls it once until its count is taken.
  func changed(_ channel: LocalChannel, isUrgent: Bool) {
    changed.append(channel)
    if isUrgent { news.askNow() } else { news.ask() }
  }

  private func report() {
    for channel in changed {
      guard let count = channel.takeSubscriberReport() else { continue }
      let report = SubscriberCount(handle: channel.handle, subscribers: count)
      if gateway.upstreams.hub?.send(report) != .sent { channel.reportWasRefused() }
    }
    changed.removeAll(keepingCapacity: changed.count < 1024)
  }
}
