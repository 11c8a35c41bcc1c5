import Config
import Testing

/// The table of limits is whole, and every row of it does what it says (D19).
@Suite struct LimitsTests {
  @Test func everyLimitHasOneRowInTheOrderOfItsProperties() {
    // The one switch of the section is no limit.
    let properties = Mirror(reflecting: Limits()).children.compactMap(\.label)
      .filter { $0 != "loopbackExempt" }
    #expect(Limits.table.map(\.name.rawValue) == properties)
    #expect(Limits.table.map(\.name) == LimitName.allCases)
  }

  @Test func everyDefaultIsWithinItsRangeAndSaysWhatHappensBeyondIt() {
    for limit in Limits.table {
      let isNone = Limits().text(of: limit) == "none"
      #expect(isNone || limit.range.contains(Limits().value(of: limit)), "\(limit.name)")
      #expect(!limit.overflow.isEmpty && !limit.reason.isEmpty, "\(limit.name)")
    }
  }

  @Test func namesCarryTheirUnits() {
    for limit in Limits.table {
      let name = limit.name.rawValue
      switch limit.slot {
      case .bytes: #expect(name.hasSuffix("Bytes"))
      case .duration:
        #expect(
          ["Timeout", "Interval", "Window"].contains {
            name.hasSuffix($0) || name == "idempotencyWindow"
          })
      case .count: #expect(!name.hasSuffix("Bytes"))
      case .rate: #expect(name.contains("Rate"))
      }
    }
  }

  @Test func peersOnLoopbackAreExemptUnlessTheConfigurationBindsThem() {
    func read(_ text: String) -> ConfigCheck {
      Configuration.check(file: "f", text: [UInt8](text.utf8))
    }
    #expect(Limits().loopbackExempt)
    let bound = read("{limits:{loopbackExempt:false}}")
    #expect(bound.problems.isEmpty && !bound.configuration.limits.loopbackExempt)
    #expect(!read("{limits:{loopbackExempt:'no'}}").problems.isEmpty)
  }

  /// Each row, written into a file at both ends of its range, changes its own property alone.
  @Test(arguments: LimitName.allCases)
  func everyLimitCanBeSetWithinItsRangeAndNotBeyond(name: LimitName) throws {
    let limit = try #require(Limits.table.first { $0.name == name })
    for value in [limit.range.lowerBound, limit.range.upperBound] {
      let check = Self.check(limit, value)
      #expect(!check.problems.contains { $0.reason.hasPrefix("write") }, "\(check.report)")
      #expect(check.configuration.limits.value(of: limit) == value)
      for other in Limits.table where other.name != name {
        #expect(check.configuration.limits.value(of: other) == Limits().value(of: other))
      }
    }
    for value in [limit.range.lowerBound - 1, limit.range.upperBound + 1] {
      let check = Self.check(limit, value)
      #expect(check.problems.contains { $0.setting == "limits.\(name.rawValue)" }, "\(value)")
      #expect(check.configuration.limits.value(of: limit) == Limits().value(of: limit))
    }
  }

  @Test func aRateSaysHowManyInWhichTimeAndHowManyAtOnce() {
    func rate(_ text: String) -> MessageRate? { MessageRate(written: text) }
    #expect(rate("100/m") == MessageRate(100, per: .minute, burst: 100))
    #expect(rate("60/s burst 5") == MessageRate(60, per: .second, burst: 5))
    #expect(rate("1/h burst 10000000") == MessageRate(1, per: .hour, burst: 10_000_000))
    for text in [
      "", "60", "/s", "60/", "60/d", "0/s", "-1/s", "1.5/s", "60/s burst", "60/s burst 0", "60 /s",
      "60/s  burst 5", "60/s burst 5 ", "10000001/s", "99999999999999999999/s", "60/s 5", "٣/s",
    ] { #expect(rate(text) == nil, "\(text)") }
    for text in ["100/m", "60/s burst 5", "7/h"] { #expect(rate(text)?.text == text) }
  }

  @Test func aRateCanBeTakenAwayAndIsRefusedWithWhatToWrite() {
    func read(_ text: String) -> ConfigCheck {
      Configuration.check(file: "f", text: [UInt8]("{limits:\n{controlRate:\(text)}}".utf8))
    }
    #expect(Limits().controlRate == MessageRate(200, per: .second, burst: 400))
    #expect(read("null").configuration.limits.controlRate == Limits().controlRate)
    let none = read("'none'")
    #expect(none.isSound && none.configuration.limits.controlRate == nil)
    #expect(read("'100/m burst 7'").configuration.limits.controlRate?.burst == 7)
    for wrong in ["100", "'100'", "'fast'", "{}"] {
      let report = read(wrong).report
      #expect(report.hasPrefix("f:2: limits.controlRate: write a rate such as"), "\(report)")
    }
    let variable = Configuration.check(
      file: "f", text: nil, environment: ["SAPPHIRE_LIMITS_STATE_RATE_PER_USER": "100/m"])
    #expect(variable.configuration.limits.stateRatePerUser?.text == "100/m")
  }

  /// The three names of one rate are the same row.
  @Test func everyClassHasARateOfEveryKind() throws {
    for messageClass in MessageClass.allCases {
      for scope in RateScope.allCases {
        let name = LimitName(rateOf: messageClass, by: scope)
        let limit = try #require(Limits.table.first { $0.name == name })
        let limits = Self.check(limit, 7).configuration.limits
        #expect(limits.rate(of: messageClass, by: scope)?.text == "7/m")
        #expect(name.rawValue.hasPrefix(messageClass.rawValue))
        #expect(name.rawValue.lowercased().hasSuffix(scope == .connection ? "rate" : scope.rawValue))
      }
    }
  }

  static func check(_ limit: Limit, _ value: Int64) -> ConfigCheck {
    let text =
      switch limit.slot {
      case .duration: "'\(value)ms'"
      case .rate: "'\(value)/m'"
      case .count, .bytes: "\(value)"
      }
    return Configuration.check(
      file: "f", text: [UInt8]("{limits:{\(limit.name.rawValue):\(text)}}".utf8))
  }
}
