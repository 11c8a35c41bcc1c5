internal import Bytes
internal import Link
internal import Wire

/// What folds have made of streams: kept, and given back.
extension EventStoreService {
  func putSnapshot(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    let request = try PutSnapshot(body: body)
    guard link.peer?.role != .worker else {
      link.fail(header, .roleForbidden)
      return .now
    }
    // Bytes that wait for the disk are not granted again before they are there.
    return take(link, header, isHeld: true) {
      store.order(.keep(request, time: wallMilliseconds), tag: $0)
    }
  }

  func readSnapshot(_ link: Link, _ header: FrameHeader, _ request: ReadSnapshot) -> Consumption {
    take(link, header) {
      store.read(
        .snapshot(
          request.stream, request.fold, at: request.at, wantsState: request.wantsState), tag: $0)
    }
  }

  func answer(_ link: Link, _ header: FrameHeader, _ outcome: SnapshotOutcome) {
    switch outcome {
    case .kept(let offset):
      link.reply(SnapshotKept(isNew: true, offset: offset), to: header.correlation)
    case .found(let offset):
      link.reply(SnapshotKept(isNew: false, offset: offset), to: header.correlation)
    case .unknownStream: link.fail(header, .notFound, "there is no such stream")
    case .otherEpoch: link.fail(header, .unrecoverable, "the stream is in another epoch")
    case .trimmed: link.fail(header, .unrecoverable, "what is up to that offset was removed")
    case .otherChain: link.fail(header, .unrecoverable, "it was made of other events")
    case .ahead: link.fail(header, .beyondHead, "the stream ends before that offset")
    case .tooLarge: link.fail(header, .tooLarge)
    case .damaged: link.fail(header, .badRequest, "the bytes don't fit their sum")
    case .outOfSpace: link.fail(header, .outOfSpace)
    }
  }

  func answer(_ link: Link?, _ header: FrameHeader, _ found: SnapshotFound?) {
    guard let found else {
      link?.fail(header, .notFound, "there is no such snapshot")
      return
    }
    link?.reply(found, to: header.correlation)
  }
}
