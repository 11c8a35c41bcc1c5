import Observe
import Synchronization
import Testing

/// Keeps lines in memory.
final class LinesSink: LogSink {
  private let kept = Mutex<[String]>([])
  func write(_ line: [UInt8]) {
    kept.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
  }
  var lines: [String] { kept.withLock { $0 } }
}

@Suite struct LoggerTests {
  let sink = LinesSink()

  func logger(_ levels: LogLevels = LogLevels(), _ format: LogFormat = .human) -> Logger {
    Logger(
      subsystem: "gateway.link", levels: levels, format: format, sink: sink,
      nowMs: { 1_769_860_800_007 })
  }

  @Test func writesHumanLines() {
    logger().info(
      "link is up", ["peer": "unix:/run/hub.sock", "version": 3, "why": "a b", "no": ""])
    logger().error("stopped", ["after": .duration(.milliseconds(1_500)), "ok": false, "rate": 0.5])
    #expect(
      sink.lines == [
        "2026-01-31T12:00:00.007Z info  gateway.link: link is up peer=unix:/run/hub.sock "
          + "version=3 why=\"a b\" no=\"\"\n",
        "2026-01-31T12:00:00.007Z error gateway.link: stopped after=1.5 ok=false rate=0.5\n",
      ])
  }

  @Test func writesJSONLines() {
    logger(LogLevels(), .json).warning(
      "dropped \"x\"", ["count": .uint(7), "nan": .double(.nan), "bytes": .count(12)])
    #expect(
      sink.lines == [
        #"{"time":"2026-01-31T12:00:00.007Z","level":"warning","subsystem":"gateway.link","#
          + #""message":"dropped \"x\"","count":7,"nan":null,"bytes":12}"# + "\n"
      ])
  }

  @Test func inputCanNotForgeALineOrDriveATerminal() {
    logger().info("name\nfake", ["user": "a\u{1B}[31m\r\nb\u{9B}c\u{7F}"])
    logger(LogLevels(), .json).info("name\nfake", ["user": "a\u{1B}\r\n\u{85}"])
    for line in sink.lines {
      #expect(line.utf8.filter { $0 < 0x20 || $0 == 0x7F }.count == 1)
      #expect(line.hasSuffix("\n"))
      #expect(!line.unicodeScalars.contains { (0x80...0x9F).contains($0.value) })
    }
    #expect(sink.lines[0].contains(##"user="a\u001b[31m\r\nb\u009bc\u007f""##))
  }

  @Test func longTextIsCut() {
    logger().info("x", ["long": .text(String(repeating: "y", count: 100_000))])
    #expect(sink.lines[0].utf8.count < 2_200)
    #expect(sink.lines[0].contains("…"))
  }

  @Test func nothingIsEvaluatedBelowTheLevel() {
    var evaluated = 0
    func text() -> String {
      evaluated += 1
      return "x"
    }
    logger().debug(text(), ["a": .text(text())])
    #expect(evaluated == 0)
    #expect(sink.lines.isEmpty)
    logger(LogLevels(.debug)).debug(text(), ["a": .text(text())])
    #expect(evaluated == 2)
    #expect(sink.lines.count == 1)
  }

  /// S004-29.
  @Test func subsystemsHaveLevelsOfTheirOwn() throws {
    let levels = try #require(LogLevels(text: "warning,gateway.*=debug,gateway.tls=error"))
    #expect(levels.level(of: "hub") == .warning)
    #expect(levels.level(of: "gateway.link") == .debug)
    #expect(levels.level(of: "gateway.tls") == .error)
    logger(levels).debug("seen")
    logger(levels).labelled("hub").info("unseen")
    logger(levels).labelled("gateway.tls").warning("unseen")
    #expect(sink.lines.count == 1)
    for text in ["", "loud", "info,", "=debug", "link=loud", "a=b=info"] {
      #expect(LogLevels(text: text) == nil, "\(text)")
    }
  }

  /// S004-29.
  @Test func levelsChangeWhileLoggersAreInUse() throws {
    let logger = logger()
    let copy = logger
    let other = logger.labelled("gateway.access")
    copy.debug("unseen")
    other.info("unseen")
    logger.levels.set(try #require(LogLevels(text: "info,gateway.link=debug,gateway.access=info")))
    copy.debug("seen")
    other.info("seen")
    logger.labelled("hub").debug("unseen")
    logger.levels.set(LogLevels(.error))
    copy.warning("unseen")
    #expect(sink.lines.count == 2)
    #expect(logger.levels.current == LogLevels(.error))
  }

  @Test func aLineForEveryRequestIsWrittenOnlyWhereItIsAskedFor() throws {
    #expect(LogLevels(.debug).level(of: "gateway.access") == .warning)
    #expect(LogLevels(.error).level(of: "gateway.access") == .error)
    #expect(try #require(LogLevels(text: "error,gateway.*=info")).level(of: "gateway.access") == .info)
  }

  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
      (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
      (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
      (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    ] as [(Int64, String)])
  func timesAreCivilDatesInUTC(ms: Int64, text: String) {
    Logger(subsystem: "s", sink: sink, nowMs: { ms }).info("m")
    #expect(sink.lines == ["\(text) info  s: m\n"])
  }

  @Test func secretsAreNeverShown() {
    let secret = Secret("hunter2")
    struct Holder { let key: Secret<String> }
    var dumped = ""
    dump(Holder(key: secret), to: &dumped)
    logger().info("key is \(secret)", ["key": .describing(secret), "also": "\(secret)"])
    for text in [
      "\(secret)", String(reflecting: secret), "\(Holder(key: secret))", dumped, sink.lines[0],
    ] {
      #expect(!text.contains("hunter2"))
      #expect(text.contains("secret"))
    }
    #expect(secret.reveal() == "hunter2")
  }

  @Test func aSilentLoggerWritesNothing() {
    Logger.silent.error("nobody hears this")
  }
}
