internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

extension StoreReader {
  /// Committed events after a position, in order of commit: what the hub has not confirmed.
  ///
  /// - Limits: at most `limit` events and `StoreLimits.pageBytesMax`, one at least.
  public func unannounced(after position: Int64, limit: Int = 256) throws(ReadFailure)
    -> AnnouncementPage
  {
    try snapshot { () throws(ReadFailure) in
      var filling = CommitPage(after: position, limit: min(max(limit, 1), StoreLimits.pageEventsMax))
      try fillOrdered(&filling)
      try fillLogged(&filling)
      return filling.page
    }
  }

  /// What a page of commits is filled with.
  private struct CommitPage {
    var page: AnnouncementPage
    var bytes = 0
    let limit: Int
    var rows = 0

    init(after position: Int64, limit: Int) {
      page = AnnouncementPage(
        announcements: [], corruptCount: 0, through: position, hasMore: false)
      self.limit = limit
    }

    var next: Int64 { page.through + 1 }
    var isFull: Bool { rows >= limit || bytes >= StoreLimits.pageBytesMax }
  }

  /// What is no longer in the log, from segments.
  private func fillOrdered(_ filling: inout CommitPage) throws(ReadFailure) {
    guard try step(swept) else { throw .unavailable("the store's row is damaged") }
    let last = swept.integer(0)
    swept.reset()
    guard filling.next <= last else { return }
    ordered.bind(1, filling.next)
    defer { ordered.reset() }
    while filling.next <= last {
      guard !filling.isFull else {
        filling.page.hasMore = true
        return
      }
      guard try step(ordered), let order = CommitOrder(reading: ordered),
        order.position <= filling.next, order.last >= filling.next
      else { throw .unavailable("the order of commits is damaged at position \(filling.next)") }
      var position = order.position
      for entry in order.entries {
        let end = position + Int64(entry.count)
        defer { position = end }
        while filling.next < end, !filling.isFull { try fill(&filling, entry, from: position) }
        guard !filling.isFull else { break }
      }
    }
  }

  /// Adds what an entry of an order has, from the page's next position on.
  private func fill(
    _ filling: inout CommitPage, _ entry: CommitOrder.Entry, from position: Int64
  ) throws(ReadFailure) {
    let skipped = UInt64(filling.next - position)
    let first = Offset(entry.first.value + skipped)
    let most = min(UInt64(entry.count), skipped + UInt64(filling.limit - filling.rows))
    let last = Offset(entry.first.value + most - 1)
    guard let row = try found(entry.stream), let name = row.name else {
      // Deleted since.
      filling.page.through = position + Int64(entry.count) - 1
      return
    }
    var events = Filling(stream: name, direction: .forwards, budget: StoreLimits.pageBytesMax)
    do throws(ReadFailure) {
      let view = View(
        lineage: Lineage(of: row.id), row: row, head: row.head, runs: [:])
      try fill(&events, view, first...last)
    } catch {
      guard case .corrupt(_, let offset) = error else { throw error }
      // What was trimmed is not announced; what is damaged is counted.
      if events.events.count == 0 {
        let isTrimmed = offset <= row.floor
        let gone = isTrimmed ? min(last, row.floor).value - first.value + 1 : 1
        filling.page.through += Int64(gone)
        if !isTrimmed {
          filling.page.corruptCount += 1
          filling.rows += 1
        }
        return
      }
    }
    add(events.events, of: row, name, &filling)
  }

  /// What is still in the log.
  private func fillLogged(_ filling: inout CommitPage) throws(ReadFailure) {
    guard !filling.page.hasMore else { return }
    logged.bind(1, filling.next)
    defer { logged.reset() }
    while try step(logged) {
      guard !filling.isFull else {
        filling.page.hasMore = true
        return
      }
      let position = logged.integer(0)
      guard let count = Int(exactly: logged.integer(3)), position + Int64(count) > filling.next else {
        continue
      }
      try addLogged(position, count, &filling)
    }
  }

  private func addLogged(
    _ position: Int64, _ count: Int, _ filling: inout CommitPage
  ) throws(ReadFailure) {
    let block = EventBlock(
      stream: logged.integer(1), first: Offset(logged.bits(2)),
      chain: StreamChain(logged.bytes(4)) ?? StreamChain(),
      events: EncodedEvents(trusting: logged.bytes(6), count: count))
    guard Int64(block.checksum(at: position)) == logged.integer(5), let row = try found(block.stream)
    else {
      filling.page.corruptCount += count
      filling.page.through = position + Int64(count) - 1
      filling.rows += 1
      return
    }
    guard let name = row.name, let events = block.events.events else {
      filling.page.through = position + Int64(count) - 1
      return
    }
    var rest = EncodedEvents()
    for event in events.dropFirst(Int(filling.next - position)).prefix(filling.limit - filling.rows) {
      rest.append(event)
    }
    let isCut = filling.next + Int64(rest.count) < position + Int64(count)
    add(rest, of: row, name, &filling)
    if isCut { filling.page.hasMore = true }
  }

  private func add(
    _ events: EncodedEvents, of row: StreamRow, _ name: ChannelName, _ filling: inout CommitPage
  ) {
    for event in events.events ?? [] {
      filling.page.through += 1
      filling.rows += 1
      filling.bytes += event.payload.bytes.count + event.meta.count
        + StoreLimits.eventOverheadBytes
      filling.page.announcements.append(
        Announcement(
          position: filling.page.through, stream: name, epoch: row.epoch, event: event))
    }
  }
}
