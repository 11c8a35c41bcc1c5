import Bytes
import Wire

enum SamplesOfPresence {
  static let all: [Sample] = leases + reports + watching + lists

  private static let ada = Member(
    key: .user("ada"), client: 1, info: [UInt8](#"{"x":1}"#.utf8))
  private static let returning = Member(key: .session("9GrZ0b2Yxqk7HwE"), client: .max)
  private static let anonymous = Member(key: .client(2), client: 2)

  private static let leases: [Sample] = [
    Sample(
      label: "rich", message: Lease(remainingMs: 1_000, lane: .max, hasBeenAttached: true),
      correlation: 1),
    Sample(label: "rich", message: Leased(durationMs: 10_000), correlation: 1, flags: .reply),
  ]

  private static let reports: [Sample] = [
    Sample(
      label: "a whole report",
      message: PresenceBatch(
        sequence: 1, part: .wholeReport,
        events: [
          MemberEvent(
            .joined, longestName, client: 0x0123_4567_89ab_cdef, user: "ada",
            session: "9GrZ0b2Yxqk7HwE", info: [UInt8](#"{"x":1}"#.utf8)),
          MemberEvent(.joined, channel("a"), client: 2),
        ])),
    Sample(
      label: "leaves",
      message: PresenceBatch(
        sequence: .max, part: .next,
        events: [
          MemberEvent(.left, channel("a"), client: 1),
          MemberEvent(.lost, channel("b"), client: .max),
        ])),
    Sample(
      label: "nobody", message: PresenceBatch(sequence: 2, part: .opensReport, events: [])),
    Sample(label: "rich", message: RequestReport(remainingMs: 10_000)),
    Sample(
      label: "a join",
      message: PresenceRefused(
        channel: channel("map:cursor"), client: 7, code: .tooLarge, message: "info is too long")),
    Sample(
      label: "a watch",
      message: PresenceRefused(
        channel: channel("map:cursor"), client: 0, code: .limitReached,
        message: "too many watches")),
  ]

  private static let watching: [Sample] = [
    Sample(label: "rich", message: WatchPresence(channel: channel("map:cursor"))),
    Sample(label: "rich", message: UnwatchPresence(channel: channel("map:cursor"))),
    Sample(
      label: "rich",
      message: PresencePage(
        channel: channel("map:cursor"), version: .max, isFirst: true, isLast: true,
        isRebuilding: true, members: [ada, returning, anonymous])),
    Sample(
      label: "nobody",
      message: PresencePage(
        channel: channel("a"), version: 0, isFirst: false, isLast: false, isRebuilding: false,
        members: [])),
    Sample(
      label: "rich",
      message: PresenceChanges(
        channel: channel("a"), after: 7,
        changes: [
          MemberChange(.joined, ada), MemberChange(.updated, returning),
          MemberChange(.left, anonymous),
        ])),
  ]

  private static let lists: [Sample] = [
    Sample(
      label: "rich",
      message: ReadPresence(
        remainingMs: 1_000, channel: channel("map:cursor"), from: 512, count: .max),
      correlation: 4),
    Sample(
      label: "rich",
      message: PresenceList(
        connections: .max, total: 3, next: 1_024, members: [ada, returning, anonymous]),
      correlation: 4, flags: .reply),
    Sample(
      label: "nobody",
      message: PresenceList(connections: 0, total: 0, next: 0, members: []), correlation: 5,
      flags: .reply),
  ]
}
