internal import Bytes
internal import Link
internal import Observe
internal import Wire

/// What is done to streams beside appending: trims, deletions, forks.
extension EventStoreService {
  /// A worker has no business with other streams' pasts.
  func carryOut(_ link: Link, _ header: FrameHeader, _ order: StoreThread.Order) -> Consumption {
    guard link.peer?.role != .worker else {
      link.fail(header, .roleForbidden)
      return .now
    }
    var deletes: ChannelName?
    if case .delete(let name) = order { deletes = name }
    return take(link, header, deletes: deletes) { store.order(order, tag: $0) }
  }

  func carriedOut(_ tag: StoreThread.Tag, _ done: StoreThread.Done) {
    switch done {
    case .imported(.ready(_, _, let position)): announcer.passOver(through: position)
    case .imported(.finished(let head)): announcer.changed(head.name)
    default: break
    }
    guard let asked = waiting.removeValue(forKey: tag) else { return }
    if case .deleted(.deleted) = done, let name = asked.deletes { announcer.changed(name) }
    guard let link = asked.link else { return }
    if asked.isHeld { link.release(asked.header) }
    switch done {
    case .trimmed(let head?): link.reply(HistoryRemoved(head), to: asked.header.correlation)
    case .deleted(.deleted(let forks)):
      link.reply(StreamDeleted(forks: UInt32(clamping: forks)), to: asked.header.correlation)
    case .deleted(.unknownStream): link.fail(asked.header, .notFound, "there is no such stream")
    case .trimmed(nil), .deleted(.outOfSpace), .forked(.outOfSpace):
      metrics.outOfSpace.add()
      link.fail(asked.header, .outOfSpace)
    case .kept(let outcome): answer(link, asked.header, outcome)
    case .forked(let outcome): answer(link, asked.header, outcome)
    case .imported(let outcome): answer(link, asked.header, outcome)
    }
  }

  private func answer(_ link: Link, _ header: FrameHeader, _ outcome: ForkOutcome) {
    switch outcome {
    case .forked(let head, let at, let origin):
      link.reply(StreamForked(head: head, at: at, isNew: origin == .made), to: header.correlation)
    case .unknownStream: link.fail(header, .notFound, "there is no such stream to fork")
    case .otherEpoch: link.fail(header, .unrecoverable, "the stream is in another epoch")
    case .trimmed(let head):
      link.fail(header, .unrecoverable, "the stream begins after offset \(head.floor)")
    case .ahead(let head):
      link.fail(header, .beyondHead, "the stream ends at offset \(head.head)")
    case .nameTaken: link.fail(header, .nameTaken, "another fork has this name")
    case .refused(let refusal): link.fail(header, .badRequest, refusal.rawValue)
    case .outOfSpace: link.fail(header, .outOfSpace)
    }
  }
}
