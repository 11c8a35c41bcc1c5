import Bytes
import Wire

private enum Event: Equatable {
  case frame(FrameHeader, body: [UInt8])
  case failed(FrameError)
}

/// A link's bytes, and the same input as one body whose kind its first byte is: decoders behind a
/// header with the right length are hard to reach.
func fuzzWireFrames(_ input: [UInt8]) {
  let events = requireSplitInvariance(input) { read($0, .none) }
  require(readOneByOne(input) == events, "stopping after each frame changes what is read")
  for case .frame(let header, let body) in events { check(header, body) }
  if let first = input.first, let kind = Kind(rawValue: UInt16(first)) {
    check(FrameHeader(length: input.count - 1, kind: kind), Array(input.dropFirst()))
  }
  _ = requireSplitInvariance(input) { read($0, .crc32c) }
}

/// Feeds segments as a link does: what is not taken comes again in front of the next.
private func read(_ segments: [[UInt8]], _ checksums: Checksums) -> [Event] {
  var reader = FrameReader(checksums: checksums)
  var events: [Event] = []
  var unread: [UInt8] = []
  for segment in segments {
    unread += segment
    do throws(FrameError) {
      let taken = try reader.read(unread.span) { header, body in
        events.append(.frame(header, body: [UInt8](copying: body)))
        return true
      }
      require(taken <= unread.count, "more was taken than there is")
      unread.removeFirst(taken)
      require(unread.count < FrameHeader.bytes, "a whole header was left")
    } catch { return events + [.failed(error)] }
  }
  return events
}

/// Reads whole input, but stops after each frame and begins again with what is left.
private func readOneByOne(_ input: [UInt8]) -> [Event] {
  var reader = FrameReader(checksums: .none)
  var events: [Event] = []
  var unread = input[...]
  while !unread.isEmpty {
    do throws(FrameError) {
      let taken = try reader.read(Array(unread).span) { header, body in
        events.append(.frame(header, body: [UInt8](copying: body)))
        return false
      }
      if taken == 0 { break }
      unread = unread.dropFirst(taken)
    } catch { return events + [.failed(error)] }
  }
  return events
}

private func check(_ header: FrameHeader, _ body: [UInt8]) {
  require(header.length == body.count, "a body of another length than its header's")
  require(header.kind.bodyBytesMax >= body.count, "a body over its kind's limit")
  check(messageType(header.kind), header, body)
}

/// A message that decodes is one that can be sent: its frame is read as the same again, with and
/// without checksum, and nothing of it can be left out.
private func check<Message: WireMessage>(
  _ type: Message.Type, _ header: FrameHeader, _ body: [UInt8]
) {
  guard let message = try? Message(body: body.span) else { return }
  let written = encode(message)
  let appended = appendedBytes(Message.layout)
  require(written.count <= body.count + appended, "written with more bytes than it was read from")
  let again = try? Message(body: written.span)
  require(again == message, "\(message) is read as \(String(describing: again))")
  require(again.map(encode) == written, "a second writing differs")
  let longer = try? Message(body: (written + [1, 0, 255]).span)
  require(longer == message, "appended fields change the known ones")
  if written.count <= 200 {
    for count in written.indices {
      guard let older = try? Message(body: Array(written[..<count]).span) else { continue }
      let whole = encode(older)
      let rest = whole.dropFirst(count)
      require(
        appended > 0 && whole.count == count + appended && whole.starts(with: written[..<count])
          && (rest.allSatisfy { $0 == 0 } || rest.allSatisfy { $0 == 0xff }), "cut off at \(count)")
    }
  }
  for checksums in [Checksums.none, .crc32c] {
    var writer = ByteWriter()
    writer.frame(
      message, correlation: header.correlation, flags: header.flags, checksums: checksums)
    let events = read([writer.bytes], checksums)
    guard case .frame(let second, let secondBody) = events.first, events.count == 1 else {
      fatalError("a frame of ours is read as \(events)")
    }
    require(secondBody == written && second.kind == header.kind, "another body")
    require(second.correlation == header.correlation && second.flags == header.flags, "the header")
  }
}

/// Bytes of the fields that older builds leave out, as zero or empty, or as no offset: those at a layout's
/// end with a question mark.
private func appendedBytes(_ layout: String) -> Int {
  let sizes = ["u8?": 1, "u16?": 2, "u32?": 4, "u64?": 8, "i64?": 8, "bytes32?": 4, "text16?": 2]
  return layout.split(separator: " ").reduce(0) { bytes, field in
    bytes + (sizes[String(field.split(separator: ":").last ?? "")] ?? 0)
  }
}

private func encode(_ message: some WireMessage) -> [UInt8] {
  var writer = ByteWriter()
  message.encode(into: &writer)
  return writer.bytes
}

/// Exhaustive, so that a new kind brings its decoder here.
private func messageType(_ kind: Kind) -> any WireMessage.Type {
  switch kind {
  case .hello: Hello.self
  case .proof: Proof.self
  case .heartbeat: Heartbeat.self
  case .credit: Credit.self
  case .failure: Failure.self
  case .goodbye: Goodbye.self
  case .openPrincipal: OpenPrincipal.self
  case .closePrincipal: ClosePrincipal.self
  case .openChannel: OpenChannel.self
  case .channelOpened: ChannelOpened.self
  case .closeChannel: CloseChannel.self
  case .channelClosed: ChannelClosed.self
  case .publish: Publish.self
  case .published: Published.self
  case .publication: Publication.self
  case .gap: Gap.self
  case .readHistory: ReadHistory.self
  case .historyPage: HistoryPage.self
  case .countChannels: CountChannels.self
  case .channelCounts: ChannelCounts.self
  case .subscriberCount: SubscriberCount.self
  case .readHeads: ReadHeads.self
  case .headsPage: HeadsPage.self
  case .append: Append.self
  case .appended: Appended.self
  case .readStream: ReadStream.self
  case .streamPage: StreamPage.self
  case .listStreams: ListStreams.self
  case .streamList: StreamList.self
  case .probe: Probe.self
  case .probed: Probed.self
  case .putArtifact: PutArtifact.self
  case .artifactReady: ArtifactReady.self
  case .artifactChunk: ArtifactChunk.self
  case .endArtifact: EndArtifact.self
  case .artifactStored: ArtifactStored.self
  case .getArtifact: GetArtifact.self
  case .artifactFound: ArtifactFound.self
  case .artifactCredit: ArtifactCredit.self
  case .cancelArtifact: CancelArtifact.self
  case .findArtifact: FindArtifact.self
  case .artifactStreams: ArtifactStreams.self
  case .lease: Lease.self
  case .leased: Leased.self
  case .presenceBatch: PresenceBatch.self
  case .watchPresence: WatchPresence.self
  case .unwatchPresence: UnwatchPresence.self
  case .presencePage: PresencePage.self
  case .presenceChanges: PresenceChanges.self
  case .readPresence: ReadPresence.self
  case .presenceList: PresenceList.self
  case .requestReport: RequestReport.self
  case .presenceRefused: PresenceRefused.self
  case .takeRelays: TakeRelays.self
  case .relay: Relay.self
  case .relayed: Relayed.self
  case .endRelay: EndRelay.self
  case .removeHistory: RemoveHistory.self
  case .historyRemoved: HistoryRemoved.self
  case .streamChanged: StreamChanged.self
  case .beginImport: BeginImport.self
  case .importReady: ImportReady.self
  case .importEvents: ImportEvents.self
  case .finishImport: FinishImport.self
  case .imported: Imported.self
  case .forkStream: ForkStream.self
  case .streamForked: StreamForked.self
  case .trimStream: TrimStream.self
  case .deleteStream: DeleteStream.self
  case .streamDeleted: StreamDeleted.self
  case .describeStreams: DescribeStreams.self
  case .streamDescriptions: StreamDescriptions.self
  case .readEvents: ReadEvents.self
  case .eventsPage: EventsPage.self
  case .putSnapshot: PutSnapshot.self
  case .snapshotKept: SnapshotKept.self
  case .readSnapshot: ReadSnapshot.self
  case .snapshotFound: SnapshotFound.self
  case .readMetrics: ReadMetrics.self
  case .metricsText: MetricsText.self
  }
}
