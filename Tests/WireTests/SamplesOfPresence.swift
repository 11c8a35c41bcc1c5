import Bytes
import Wire

enum SamplesOfPresence {
  static let all: [Sample] = leases + members

  private static let ada = Member(client: "c-1", user: "ada", info: [UInt8](#"{"x":1}"#.utf8))
  private static let anonymous = Member(client: "c-2", user: "", info: [])

  private static let leases: [Sample] = [
    Sample(
      label: "rich",
      message: Lease(remainingMs: 1_000, gateway: .max, incarnation: 7, durationMs: 6_000),
      correlation: 1),
    Sample(
      label: "rich", message: Leased(durationMs: 6_000, isRebuilding: true), correlation: 1,
      flags: .reply),
    Sample(
      label: "all members of a link",
      message: PresenceBatch(
        gateway: 0x0123_4567_89ab_cdef, incarnation: .max, isComplete: true,
        joins: [
          MemberJoin(
            channel: longestName, client: "c-1", user: "ada", session: "s3cret",
            info: [UInt8](#"{"x":1}"#.utf8)),
          MemberJoin(channel: channel("a"), client: "c-2", user: "", session: "", info: []),
        ],
        leaves: [])),
    Sample(
      label: "leaves",
      message: PresenceBatch(
        gateway: 1, incarnation: 2, isComplete: false, joins: [],
        leaves: [
          MemberLeave(channel: channel("a"), client: "c-1", isClean: true),
          MemberLeave(channel: channel("b"), client: "ç-2", isClean: false),
        ])),
  ]

  private static let members: [Sample] = [
    Sample(
      label: "rich", message: WatchPresence(remainingMs: 1_000, channel: channel("map:cursor")),
      correlation: 2),
    Sample(label: "rich", message: UnwatchPresence(channel: channel("map:cursor"))),
    Sample(
      label: "rich",
      message: PresencePage(
        channel: channel("map:cursor"), version: .max, isRebuilding: true, hasMore: true,
        total: .max, users: 1, members: [ada, anonymous]),
      correlation: 2, flags: .reply),
    Sample(
      label: "nobody",
      message: PresencePage(
        channel: channel("a"), version: 0, isRebuilding: false, hasMore: false, total: 0,
        users: 0, members: []),
      correlation: 3, flags: .reply),
    Sample(
      label: "rich",
      message: PresenceChanges(changes: [
        ChannelChange(channel: channel("a"), version: 8, joins: [ada], leaves: [anonymous]),
        ChannelChange(channel: channel("b"), version: .max, joins: [], leaves: []),
      ])),
    Sample(
      label: "rich",
      message: ReadPresence(
        remainingMs: 1_000, channel: channel("map:cursor"), after: "c-1", limit: .max),
      correlation: 4),
  ]
}
