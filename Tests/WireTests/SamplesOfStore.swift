import Bytes
import Wire

enum SamplesOfStore {
  static let all = streams + ordered + timelines + snapshots + imports + artifacts

  private static var origin: EventOrigin {
    var origin = EventOrigin()
    origin.isForOthers = true
    origin.connectionInfo = [UInt8](#"{"name":"Ada"}"#.utf8)
    origin.channelInfo = [UInt8]("1".utf8)
    return origin
  }

  private static let imports: [Sample] = [
    Sample(
      label: "rich",
      message: BeginImport(
        remainingMs: 5_000, name: channel("log:orders"), first: Offset(1_001),
        chain: [UInt8](repeating: 9, count: 32)),
      correlation: 41),
    Sample(
      label: "rich", message: ImportReady(id: .max - 1, next: Offset(.max - 1)), correlation: 41,
      flags: .reply),
    Sample(
      label: "two events",
      message: ImportEvents(
        remainingMs: 250, id: 7,
        events: [
          StoredEvent(
            offset: Offset(1), timeMs: -1, publisher: Publisher(client: .max, user: "ada"),
            eventType: "move", meta: [1, 2], payload: Payload(json: "{}")),
          StoredEvent(
            offset: Offset(2), timeMs: .max, publisher: Publisher(), eventType: "",
            payload: Payload(.binary, [0, 255])),
        ]),
      correlation: 42),
    Sample(
      label: "rich",
      message: FinishImport(
        remainingMs: 250, id: 7, last: Offset(2), chain: [UInt8](repeating: 8, count: 32)),
      correlation: 43),
    Sample(
      label: "rich",
      message: Imported(
        StreamHead(
          name: channel("log:orders"), epoch: epoch("e1"), floor: Offset(1), head: Offset(2))),
      correlation: 43, flags: .reply),
    Sample(
      label: "the chain at an offset",
      message: DescribeStreams(
        remainingMs: 250, prefix: "sim:run7", after: "", limit: 1, at: Offset(.max - 1)),
      correlation: 44),
  ]

  private static let timelines: [Sample] = [
    Sample(
      label: "at an offset",
      message: ForkStream(
        remainingMs: 5_000, source: channel("sim:run7"), name: channel("sim:run7@what-if"),
        at: Offset(1_000), epoch: epoch("e1"), author: "ada"),
      correlation: 31),
    Sample(
      label: "at the head",
      message: ForkStream(remainingMs: 0, source: channel("a"), name: channel("a@b")),
      correlation: 32),
    Sample(
      label: "rich",
      message: StreamForked(
        head: StreamHead(
          name: channel("a@b"), epoch: epoch(longestEpoch), floor: Offset(3), head: Offset(.max)),
        at: Offset(.max - 1), isNew: true),
      correlation: 31, flags: .reply),
    Sample(
      label: "up to an offset",
      message: TrimStream(remainingMs: 250, name: channel("a"), through: Offset(.max - 1)),
      correlation: 33),
    Sample(
      label: "all", message: TrimStream(remainingMs: 250, name: longestName, through: nil),
      correlation: 34),
    Sample(
      label: "rich", message: DeleteStream(remainingMs: 250, name: channel("a@b")),
      correlation: 35),
    Sample(
      label: "rich", message: StreamDeleted(forks: .max), correlation: 35, flags: .reply),
    Sample(
      label: "rich",
      message: DescribeStreams(remainingMs: 250, prefix: "sim:", after: "sim:run7", limit: 100),
      correlation: 36),
    Sample(
      label: "a stream and a fork",
      message: StreamDescriptions(
        hasMore: true,
        streams: [
          StreamDescription(
            head: StreamHead(
              name: channel("a"), epoch: epoch("e1"), floor: .zero, head: Offset(.max)),
            bytes: .max, createdMs: -1, source: "", fork: .zero, isFork: false, author: "",
            sha256: [UInt8](repeating: 7, count: 32)),
          StreamDescription(
            head: StreamHead(
              name: channel("a@b"), epoch: epoch("e2"), floor: Offset(1), head: Offset(9)),
            bytes: 0, createdMs: 1_700_000_000_000, source: "a", fork: Offset(9), isFork: true,
            author: "ada", sha256: [UInt8](repeating: 7, count: 32)),
        ]),
      correlation: 36, flags: .reply),
    Sample(
      label: "none", message: StreamDescriptions(hasMore: false, streams: []), correlation: 37,
      flags: .reply),
  ]

  private static let ordered: [Sample] = [
    Sample(
      label: "what comes",
      message: ReadEvents(
        remainingMs: 25_000, waitMs: 20_000, store: 0x0123_4567_89ab_cdef, after: .max - 1,
        prefix: "sim:run7", isExact: true, eventType: "tick", fromMs: 1_700_000_000_000, toMs: .max,
        count: 1_000, bytes: 1 << 20),
      correlation: 13),
    Sample(
      label: "the newest of all",
      message: ReadEvents(remainingMs: 0, after: 0, count: 1, bytes: 1, isReverse: true),
      correlation: 14),
    Sample(
      label: "of two streams",
      message: EventsPage(
        store: 0x0123_4567_89ab_cdef, through: 9, head: .max, hasMore: true, corruptCount: 1,
        events: [
          OrderedEvent(
            position: 7, stream: channel("a"), epoch: epoch("e1"),
            event: SamplesOfHub.twoEvents.events[0]),
          OrderedEvent(
            position: 9, stream: channel("a@b"), epoch: epoch(longestEpoch),
            event: SamplesOfHub.twoEvents.events[1]),
        ]),
      correlation: 13, flags: .reply),
    Sample(
      label: "none", message: EventsPage(store: 1, through: 0, head: 0, hasMore: false, events: []),
      correlation: 14, flags: .reply),
  ]

  private static let snapshots: [Sample] = [
    Sample(
      label: "with its chain",
      message: PutSnapshot(
        remainingMs: 5_000, stream: channel("state:a"), fold: FoldName("state", version: 1),
        epoch: epoch("e1"), offset: Offset(1_000), sha256: [UInt8](repeating: 7, count: 32),
        crc: 0x0102_0304, state: [1, 2, 3]),
      correlation: 41),
    Sample(
      label: "least",
      message: PutSnapshot(
        remainingMs: 0, stream: channel("a"), fold: FoldName("a", version: .max),
        epoch: epoch(longestEpoch), offset: Offset(.max - 1), crc: 0, state: []),
      correlation: 42),
    Sample(
      label: "new", message: SnapshotKept(isNew: true, offset: Offset(1_000)), correlation: 41,
      flags: .reply),
    Sample(
      label: "at an offset",
      message: ReadSnapshot(
        remainingMs: 250, stream: channel("state:a@b"), fold: FoldName("state", version: 2),
        at: Offset(.max - 1), wantsState: true),
      correlation: 43),
    Sample(
      label: "at the head",
      message: ReadSnapshot(
        remainingMs: 250, stream: longestName,
        fold: FoldName(String(repeating: "f", count: FoldName.nameBytesMax), version: 0), at: nil,
        wantsState: false),
      correlation: 44),
    Sample(
      label: "rich",
      message: SnapshotFound(
        epoch: epoch("e1"), offset: Offset(9), sha256: [UInt8](repeating: 7, count: 32),
        timeMs: -1, crc: .max, state: [0, 255]),
      correlation: 43, flags: .reply),
  ]

  private static let streams: [Sample] = [
    Sample(
      label: "two events at an expected offset",
      message: Append(
        remainingMs: 30_000, stream: longestName, expected: Offset(.max - 1), key: "once-1",
        client: 0x1122_3344_5566_7788, user: "ada",
        events: [
          NewEvent(payload: Payload(json: #"{"n":1}"#), eventType: "tick", meta: [0xff]),
          NewEvent(payload: Payload(.jsonWithParts, [0])),
        ]),
      correlation: 1),
    Sample(
      label: "wherever the stream stands",
      message: Append(
        remainingMs: 0, stream: channel("s"), expected: nil, key: "", client: 0, user: "",
        events: [NewEvent(payload: Payload(text: "Artifact #42 discovered"))]),
      correlation: 2),
    Sample(
      label: "not for its publisher's own client",
      message: Append(
        remainingMs: 5_000, stream: channel("map:a"), expected: nil, key: "", client: 7, user: "",
        events: [NewEvent(payload: Payload(json: "{}"), meta: origin.meta)]),
      correlation: 7),
    Sample(
      label: "of a producer, with ids",
      message: Append(
        remainingMs: 5_000, stream: channel("log:orders"), expected: nil, key: "", client: 0, user: "",
        events: [
          NewEvent(
            payload: Payload(json: "{}"), eventType: "order.paid",
            meta: EventIDs(correlation: "c-1", causation: "e-7").meta(with: origin.meta))
        ],
        producer: ProducerMark(id: "billing-1", epoch: .max, sequence: .max - 1)),
      correlation: 12),
    Sample(
      label: "rich",
      message: Appended(
        epoch: epoch(longestEpoch), first: Offset(.max), count: .max, isDuplicate: true,
        timeMs: 1_700_000_000_123),
      correlation: 1, flags: .reply),
    Sample(
      label: "rich",
      message: ReadStream(
        remainingMs: 1_000, stream: channel("log:audit"), after: Offset(7), count: 4096,
        bytes: .max, isReverse: true),
      correlation: 3),
    Sample(
      label: "two events", message: StreamPage(SamplesOfHub.twoEvents), correlation: 3,
      flags: .reply),
    Sample(
      label: "no stream", message: StreamPage(SamplesOfHub.noEvents), correlation: 4,
      flags: .reply),
    Sample(
      label: "rich",
      message: ListStreams(remainingMs: 1_000, prefix: "log:", after: "", limit: .max),
      correlation: 5),
    Sample(
      label: "rich",
      message: StreamList(
        hasMore: true,
        streams: [
          StreamHead(name: channel("log:a"), epoch: epoch("x"), floor: .zero, head: Offset(1))
        ]),
      correlation: 5, flags: .reply),
    Sample(label: "rich", message: Probe(remainingMs: 2_000), correlation: 6),
    Sample(
      label: "rich", message: Probed(events: .max, bytes: 1 << 40), correlation: 6, flags: .reply),
  ]

  private static let artifacts: [Sample] = [
    Sample(
      label: "rich",
      message: PutArtifact(remainingMs: 60_000, transfer: 9, sha256: digest(0x20), size: 1 << 30),
      correlation: 7),
    Sample(
      label: "to be sent", message: ArtifactReady(isStored: false, credit: 262_144),
      correlation: 7, flags: .reply),
    Sample(
      label: "there already", message: ArtifactReady(isStored: true, credit: 0), correlation: 7,
      flags: .reply),
    Sample(label: "rich", message: ArtifactChunk(transfer: 9, content: digest(0x80) + [1, 2, 3])),
    Sample(label: "empty", message: ArtifactChunk(transfer: .max, content: [])),
    Sample(label: "rich", message: EndArtifact(transfer: 9), correlation: 8),
    Sample(label: "rich", message: ArtifactStored(size: .max), correlation: 8, flags: .reply),
    Sample(
      label: "rich",
      message: GetArtifact(
        remainingMs: 60_000, transfer: 10, sha256: digest(0x20), offset: 1 << 33, count: .max,
        credit: .max),
      correlation: 9),
    Sample(label: "rich", message: ArtifactFound(size: 1 << 30), correlation: 9, flags: .reply),
    Sample(label: "rich", message: ArtifactCredit(transfer: 10, bytes: 262_144)),
    Sample(
      label: "rich",
      message: CancelArtifact(transfer: 10, code: ErrorCode.hashMismatch.rawValue)),
    Sample(
      label: "rich", message: FindArtifact(remainingMs: 1_000, sha256: digest(0x20)),
      correlation: 10),
    Sample(
      label: "announced twice",
      message: ArtifactStreams(
        isStored: true, size: 1 << 30, streams: [channel("vault:a"), longestName]),
      correlation: 10, flags: .reply),
    Sample(
      label: "not stored", message: ArtifactStreams(isStored: false, size: 0, streams: []),
      correlation: 11, flags: .reply),
  ]
}
