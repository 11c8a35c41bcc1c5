internal import Bytes
internal import EventStoreCore
internal import Wire

/// An event on its way through the hub.
struct Announced {
  let name: ChannelName
  let position: Position
  let text: String
}

/// Tells the hub of every commit: the real `AnnouncementFlow`, and around it what `Announcer` does with a
/// link and timers. Artifacts are left out.
final class StoreAnnouncer {
  private unowned let host: StoreHost
  private var world: World { host.world }
  private(set) var flow = AnnouncementFlow(confirmed: 0)
  private var link: SimulatedLink?
  private var pending: (message: Announced, position: Int64)?
  private var question: UInt64 = 0
  private var isDialing = false
  var hub: SimulatedHub?

  init(_ host: StoreHost) { self.host = host }

  var isIdle: Bool { flow.hasHub && flow.isIdle }

  func opened(_ announced: Int64) {
    flow = AnnouncementFlow(confirmed: announced)
    pending = nil
    dial()
  }

  func closed() {
    pending = nil
    link?.cut()
    link = nil
  }

  /// The hub is looked for until it is there.
  func dial() {
    guard link == nil, !isDialing, host.isOpen else { return }
    isDialing = true
    world.after(world.between(1_000...120_000)) { [self, generation = host.generation] in
      isDialing = false
      guard generation == host.generation, host.isOpen else { return dial() }
      guard let hub, hub.isUp, let made = host.connect() else { return dial() }
      link = made
      hub.accepted(made)
      made.onCut.append { [weak self] in self?.cut(made) }
      pending = nil
      flow.hubFound()
      readOn()
    }
  }

  private func cut(_ ended: SimulatedLink) {
    guard link === ended else { return }
    link = nil
    pending = nil
    flow.hubLost()
    dial()
  }

  func cutLink() { link?.cut() }

  // MARK: commits

  func committed(_ batch: [(AppendRequest, AppendOutcome)]) {
    let written = batch.compactMap { request, outcome -> (AppendRequest, AppendReceipt)? in
      guard case .committed(let receipt) = outcome, receipt.origin == .appended else { return nil }
      return (request, receipt)
    }
    let ordered = written.sorted { $0.1.position < $1.1.position }
    host.hand { [self] in
      for (request, receipt) in ordered {
        for (index, event) in request.events.enumerated() {
          let position = receipt.position + Int64(index)
          guard flow.committed(position) else { continue }
          let offset = Offset(receipt.first.value + UInt64(index))
          queue(
            Announced(
              name: request.stream, position: Position(epoch: receipt.epoch, offset: offset),
              text: String(decoding: event.payload.bytes, as: UTF8.self)), position)
        }
      }
      flush()
      readOn()
    }
  }

  private func queue(_ message: Announced, _ position: Int64) {
    if let earlier = pending {
      guard let link, link.isUp, let hub else { return fellBehind() }
      link.send { hub.announced(earlier.message) }
    }
    pending = (message, position)
  }

  private func flush() {
    guard let (message, position) = pending else { return }
    pending = nil
    guard let link, let hub else { return fellBehind() }
    let era = flow.era
    link.ask(within: 3_000_000) { answer in
      hub.announced(message)
      answer(true)
    } _: { [weak self] (answer: Bool?) in
      guard let self, era == flow.era else { return }
      if answer == true { confirm(position, era) } else { fellBehind() }
    }
  }

  private func fellBehind() {
    pending = nil
    flow.fellBehind()
    readLater(50_000)
  }

  private func confirm(_ position: Int64, _ era: UInt64) {
    flow.confirmed(position, in: era)
    host.confirm(flow.confirmed)
  }

  // MARK: catching up

  private func readLater(_ delay: Int64) {
    world.after(delay) { [self, generation = host.generation] in
      if generation == host.generation { readOn() }
    }
  }

  private func readOn() {
    guard flow.wantsPage else { return }
    question &+= 1
    flow.asked(question)
    host.unannounced(after: flow.sent) { [self, question] page in
      guard let page else {
        if flow.readFailed(question) { readLater(200_000) }
        return
      }
      read(question, page)
    }
  }

  private func read(_ question: UInt64, _ page: AnnouncementPage) {
    guard flow.accepts(question) else { return }
    if page.corruptCount > 0, !host.mayMisread {
      world.fail("\(page.corruptCount) announcements are corrupt")
    }
    for item in page.announcements {
      guard flow.read(item.position) else { continue }
      queue(
        Announced(
          name: item.stream, position: Position(epoch: item.epoch, offset: item.event.offset),
          text: String(decoding: item.event.payload.bytes, as: UTF8.self)), item.position)
    }
    flush()
    flow.pageRead(through: page.through, hasMore: page.hasMore)
    host.confirm(flow.confirmed)
    readOn()
  }
}
