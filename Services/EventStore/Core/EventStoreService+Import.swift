internal import Bytes
internal import Link
internal import Observe
internal import Wire

/// Streams that come from elsewhere.
extension EventStoreService {
  func importStream(
    _ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>
  ) throws(FrameError) -> Consumption {
    let order: ImportOrder
    switch header.kind {
    case .beginImport:
      let request = try BeginImport(body: body)
      order = .begin(
        request.name, first: request.first, chain: request.chain, time: wallMilliseconds)
    case .importEvents:
      let request = try ImportEvents(body: body)
      order = .events(id: request.id, request.events)
    default:
      let request = try FinishImport(body: body)
      order = .finish(id: request.id, last: request.last, chain: request.chain)
    }
    guard link.peer?.role != .worker else {
      link.fail(header, .roleForbidden)
      return .now
    }
    return take(link, header, isHeld: true) { store.order(.importing(order), tag: $0) }
  }

  func answer(_ link: Link, _ header: FrameHeader, _ outcome: ImportOutcome) {
    switch outcome {
    case .ready(let id, let next, _):
      link.reply(ImportReady(id: id, next: next), to: header.correlation)
    case .finished(let head): link.reply(Imported(head), to: header.correlation)
    case .outOfSpace:
      metrics.outOfSpace.add()
      link.fail(header, .outOfSpace)
    case .refused(let refusal):
      let code: ErrorCode =
        switch refusal {
        case .nameTaken: .nameTaken
        case .unknown: .notFound
        case .tooMany: .overloaded
        case .beginning, .order, .limits: .badRequest
        case .chain: .hashMismatch
        }
      link.fail(header, code, refusal.rawValue)
    }
  }
}
