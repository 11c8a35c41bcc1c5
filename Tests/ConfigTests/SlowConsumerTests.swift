import Bytes
import Config
import Testing

@Suite struct SlowConsumerTests {
  private static func check(_ rule: String) -> (ChannelRule?, [ConfigProblem]) {
    let check = Configuration.check(
      file: "f", text: [UInt8]("{ channels: [\n  { match: 'a',\n    \(rule) } ] }".utf8))
    return (check.configuration.channels.rules.first, check.problems)
  }

  @Test func aLadderIsReadWithItsDefaults() throws {
    let (rule, problems) = Self.check(
      "priority: 'state', slowConsumer: { steps: ['merge', 'skip', 'disconnect'], mergeBy: '.id', buffer: '4KiB' }")
    #expect(problems == [])
    #expect(rule?.priority == .state)
    #expect(
      rule?.slowConsumer
        == SlowConsumerRule(
          buffer: 4_096, mergeBy: .member("id"), last: .skip, patience: .seconds(30)))
    let (parked, none) = Self.check("history: { durable: true }, slowConsumer: { steps: 'park' }")
    #expect(none == [] && parked?.slowConsumer == SlowConsumerRule(last: .park))
    #expect(parked?.priority == .normal)
    let (merged, _) = Self.check("slowConsumer: { steps: ['merge', 'disconnect'] }")
    #expect(merged?.slowConsumer == SlowConsumerRule(mergeBy: .type, last: .disconnect))
  }

  @Test(arguments: [
    ("slowConsumer: { steps: [] }", "steps behind the buffer"),
    ("slowConsumer: { buffer: '4KiB' }", "steps behind the buffer"),
    ("slowConsumer: 'skip'", "write an object"),
    ("slowConsumer: { steps: ['drop'] }", "write \"merge\""),
    ("slowConsumer: { steps: ['skip', 'merge'] }", "the order is"),
    ("history: { durable: true }, slowConsumer: { steps: ['skip', 'park'] }", "the order is"),
    ("slowConsumer: { steps: ['merge'] }", "keys may be many"),
    ("slowConsumer: { steps: ['park'] }", "this rule has none"),
    ("history: { size: 9 }, slowConsumer: { steps: ['merge', 'park'] }", "out of order"),
    ("history: { durable: true }, slowConsumer: { steps: ['skip'] }", "leaves nothing out"),
    ("slowConsumer: { steps: ['skip'], mergeBy: 'user' }", "for the step \"merge\""),
    ("slowConsumer: { steps: ['disconnect'], patience: '5s' }", "patience is for"),
    ("slowConsumer: { steps: ['merge', 'skip'], mergeBy: 'id' }", "write \"type\""),
    ("slowConsumer: { steps: ['skip'], buffer: 12 }", "1KiB"),
    ("slowConsumer: { steps: ['skip'], step: 1 }", "did you mean \"steps\""),
    ("priority: 'control'", "write \"state\""),
  ])
  func whatCannotBeIsRefusedWithItsLineAndReason(rule: String, reason: String) throws {
    let problem = try #require(Self.check(rule).1.first)
    #expect(problem.reason.contains(reason), "\(problem)")
    guard case .line(let line) = problem.place else {
      Issue.record("no line: \(problem)")
      return
    }
    #expect(line == 3)
  }
}
