internal import Link
internal import Loop
internal import Platform
internal import Wire

/// Events of many streams in the order of their commits, now or once there are some.
extension EventStoreService {
  /// BUDGET: milliseconds that a read waits for a commit at most, whatever it asks for.
  private static let waitMsMax: UInt32 = 60_000

  func readEvents(_ link: Link, _ header: FrameHeader, _ request: ReadEvents) -> Consumption {
    guard request.count > 0, request.prefix.utf8.count <= 255,
      request.eventType.utf8.count <= StoreLimits.typeBytesMax
    else {
      link.fail(header, .badRequest)
      return .now
    }
    read(
      EventsWait(
        link: link, header: header, request: request,
        until: loop.now + .milliseconds(Int64(min(request.waitMs, Self.waitMsMax))),
        deadline: loop.now + .milliseconds(Int64(request.remainingMs))))
    return .now
  }

  private func read(_ wait: EventsWait) {
    guard let link = wait.link else { return }
    readPage(
      link, wait.header, .events(wait.request), bytes: Int(wait.request.bytes),
      until: wait.deadline, events: wait)
  }

  func readAgain(_ wait: EventsWait) { read(wait) }

  /// A page is answered, unless it has nothing, there is no more, and whoever asks waits for that.
  func read(_ page: EventsPage, _ asked: Waiting) {
    guard let link = asked.link else { return }
    guard var wait = asked.events, page.events.isEmpty, page.corruptCount == 0, !page.hasMore,
      !wait.request.isReverse, !isStopping, wait.until > loop.now
    else {
      link.reply(page, to: asked.header.correlation)
      return
    }
    wait.request.after = page.through
    wait.store = page.store
    switch eventsWaiting.park(wait, { [weak self] in self?.answerEmpty($0) }) {
    case .waits: break
    case .readAgain: read(wait)
    case .tooMany: link.fail(asked.header, .overloaded)
    }
  }

  /// Where the wait ends without an event.
  func answerEmpty(_ wait: EventsWait) {
    let through = wait.request.after
    wait.link?.reply(
      EventsPage(
        store: wait.store, through: through, head: max(through, eventsWaiting.position),
        hasMore: through < eventsWaiting.position, events: []),
      to: wait.header.correlation)
  }
}
