import Bytes
import Wire

enum SamplesOfHub {
  static let all = channels + publications + histories + counts + relays

  private static let handle = ChannelHandle(number: 0x0102_0304, generation: 0x0a0b_0c0d)

  private static let channels: [Sample] = [
    Sample(
      label: "with history",
      message: OpenChannel(
        remainingMs: 5_000, name: longestName, flags: [.subscribe, .publish, .count],
        isDurable: false, historyCount: .max, historyMs: 300_000, subscribers: 10_000),
      correlation: 1),
    Sample(
      label: "durable",
      message: OpenChannel(
        remainingMs: 0, name: channel("s"), flags: .subscribe, isDurable: true, historyCount: 0,
        historyMs: 0, subscribers: 0),
      correlation: .max),
    Sample(
      label: "with history",
      message: ChannelOpened(
        handle: handle, epoch: epoch(longestEpoch), head: Offset(.max), subscribers: .max),
      correlation: 1, flags: .reply),
    Sample(
      label: "without history",
      message: ChannelOpened(
        handle: ChannelHandle(number: 1, generation: 0), epoch: nil, head: .zero, subscribers: 0),
      correlation: .max, flags: .reply),
    Sample(label: "rich", message: CloseChannel(handle: handle), correlation: 2),
    Sample(label: "rich", message: ChannelClosed(handle: handle), correlation: 2, flags: .reply),
  ]

  private static let tags =
    EventTags([
      EventTags.Tag(name: "kind", value: "tick"), EventTags.Tag(name: "ümläut", value: ""),
    ])?.meta ?? []

  private static let publications: [Sample] = [
    Sample(
      label: "by number, sequenced by the store",
      message: Publish(
        remainingMs: 4_999, handle: handle, flags: [.sequenced, .skipHistory],
        timeMs: 1_700_000_000_123,
        publisher: Publisher(client: 0x1122_3344_5566_7788, user: "ada"), eventType: "tick",
        key: "once-1", expected: Offset(41), position: position("e1", 42),
        payload: Payload(json: #"{"tick":42}"#)),
      correlation: 3),
    Sample(
      label: "by name, from nobody",
      message: Publish(
        remainingMs: 0, handle: .none, name: "map:cursor", timeMs: .min, publisher: Publisher(),
        payload: Payload(.binary, []))),
    Sample(
      label: "expected at the start",
      message: Publish(
        remainingMs: .max, handle: handle, timeMs: .max, publisher: Publisher(client: .max),
        expected: .zero, payload: Payload(text: "grüße")),
      correlation: 4),
    Sample(label: "rich", message: StreamChanged(name: channel("a@b"))),
    Sample(
      label: "with tags",
      message: Publish(
        remainingMs: 1, handle: handle, timeMs: 2, publisher: Publisher(),
        payload: Payload(json: "{}"), meta: tags),
      correlation: 5),
    Sample(
      label: "with tags",
      message: Publication(
        handle: handle, position: position("e1", 43), timeMs: 1_700_000_000_124, origin: 1,
        publisher: Publisher(), eventType: "", payload: Payload(json: "{}"), meta: tags)),
    Sample(
      label: "sequenced", message: Published(position: position("e1", .max), subscribers: 3),
      correlation: 3, flags: .reply),
    Sample(
      label: "a repetition without history",
      message: Published(position: nil, isDuplicate: true, subscribers: .max), correlation: 4,
      flags: .reply),
    Sample(
      label: "with history",
      message: Publication(
        handle: handle, position: position("e1", 42), timeMs: 1_700_000_000_123,
        origin: 0xffee_ddcc_bbaa_9988, publisher: Publisher(client: 9, user: "ada"),
        eventType: "tick", payload: Payload(.jsonWithParts, [0x7b, 0x7d, 0x00, 0xff]))),
    Sample(
      label: "ephemeral",
      message: Publication(
        handle: ChannelHandle(number: .max, generation: .max), position: nil, timeMs: 0,
        origin: 0, publisher: Publisher(), eventType: "", payload: Payload(.uncheckedText, []))),
    Sample(label: "rich", message: Gap(handle: handle, dropped: .max)),
  ]

  private static let histories: [Sample] = [
    Sample(
      label: "forwards",
      message: ReadHistory(
        remainingMs: 1_000, name: channel("sim:tick"), after: Offset(41), count: 4096,
        bytes: 1 << 20),
      correlation: 5),
    Sample(
      label: "backwards from the head",
      message: ReadHistory(
        remainingMs: 1_000, name: channel("sim:tick"), after: .zero, count: .max, bytes: .max,
        isReverse: true),
      correlation: 6),
    Sample(label: "two events", message: HistoryPage(twoEvents), correlation: 5, flags: .reply),
    Sample(label: "no history", message: HistoryPage(noEvents), correlation: 6, flags: .reply),
    Sample(
      label: "rich",
      message: ReadHeads(remainingMs: 250, names: [channel("a"), longestName]), correlation: 9),
    Sample(label: "none", message: ReadHeads(remainingMs: 250, names: []), correlation: 10),
    Sample(
      label: "rich",
      message: HeadsPage(heads: [
        StreamHead(name: channel("a"), epoch: epoch("e1"), floor: Offset(3), head: Offset(.max)),
        StreamHead(name: channel("b"), epoch: nil, floor: .zero, head: .zero),
      ]),
      correlation: 9, flags: .reply),
    Sample(
      label: "rich", message: RemoveHistory(remainingMs: 5_000, name: longestName),
      correlation: 17),
    Sample(
      label: "rich",
      message: HistoryRemoved(
        StreamHead(
          name: channel("a"), epoch: epoch("e1"), floor: Offset(.max), head: Offset(.max))),
      correlation: 17, flags: .reply),
    Sample(
      label: "nothing there",
      message: HistoryRemoved(
        StreamHead(name: channel("b"), epoch: nil, floor: .zero, head: .zero)),
      correlation: 18, flags: .reply),
  ]

  private static let counts: [Sample] = [
    Sample(
      label: "rich",
      message: CountChannels(remainingMs: 500, prefix: "map:", after: "map:cursor", limit: 100),
      correlation: 11),
    Sample(
      label: "one channel",
      message: CountChannels(
        remainingMs: 0, prefix: "map:cursor", after: "", limit: 0, isExact: true),
      correlation: .max),
    Sample(
      label: "rich",
      message: ChannelCounts(
        total: 70_000, hasMore: true,
        channels: [
          ChannelCounts.Entry(name: channel("map:cursor:1"), subscribers: 0),
          ChannelCounts.Entry(name: channel("map:cursor:2"), subscribers: .max),
        ]),
      correlation: 11, flags: .reply),
    Sample(label: "rich", message: SubscriberCount(handle: handle, subscribers: 1_000_000)),
  ]

  static let twoEvents = EventPage(
    epoch: epoch("e1"), floor: Offset(40), head: Offset(.max), hasMore: true,
    events: [
      StoredEvent(
        offset: Offset(41), timeMs: .min, publisher: Publisher(client: .max, user: "ada"),
        eventType: "tick", meta: [1, 2, 3], payload: Payload(json: "null")),
      StoredEvent(
        offset: Offset(42), timeMs: .max, publisher: Publisher(), eventType: "",
        payload: Payload(.binary, digest(0xf0) + [0])),
    ])

  static let noEvents = EventPage(
    epoch: nil, floor: .zero, head: .zero, hasMore: false, events: [])

  private static let relays: [Sample] = [
    Sample(label: "a loop", message: TakeRelays(lane: 0x0102)),
    Sample(
      label: "what a signed-in client says",
      message: {
        var relay = Relay(
          remainingMs: 5_000, number: 7, place: place, door: .socketIO, action: .say,
          session: "c2Vzc2lvbi1vZi1hbm90aGVyLWdhdGV3YXk", body: Array("42[\"ping\"]".utf8))
        relay.name = .user("ada")
        relay.credential = digest(0x40)
        return relay
      }(),
      correlation: 11),
    Sample(
      label: "a poll of nobody",
      message: Relay(
        remainingMs: .max, number: .max, place: place, door: .engineIO, action: .poll, session: "s"),
      correlation: 12),
    Sample(
      label: "commands, for whichever loop",
      message: {
        var relay = Relay(
          remainingMs: 0, place: RelayPlace(gateway: .max, lane: RelayPlace.anyLane),
          door: .emulation, action: .sayOctets, session: "", body: [0x00, 0xff])
        relay.name = .refused
        return relay
      }(),
      correlation: .max),
    Sample(
      label: "anonymous",
      message: {
        var relay = Relay(
          remainingMs: 1, number: 1, place: place, door: .socketIO, action: .say, session: "s")
        relay.name = .anonymous
        return relay
      }(),
      correlation: 13),
    Sample(
      label: "a poll's payload",
      message: {
        var relayed = Relayed(
          status: 200, contentType: "text/plain; charset=UTF-8", body: Array("2\u{1e}40".utf8))
        relayed.isPlain = true
        return relayed
      }(),
      correlation: 12, flags: .reply),
    Sample(label: "nothing", message: Relayed(status: 204), correlation: .max, flags: .reply),
    Sample(label: "gone", message: EndRelay(number: .max, why: .gone)),
    Sample(label: "hurried", message: EndRelay(number: 7, why: .hurry)),
  ]

  private static let place = RelayPlace(gateway: 0x0102_0304_0506_0708, lane: 3)
}
