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
      #expect(limit.range.contains(Limits().value(of: limit)), "\(limit.name)")
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

  static func check(_ limit: Limit, _ value: Int64) -> ConfigCheck {
    let isDuration = if case .duration = limit.slot { true } else { false }
    let text = isDuration ? "'\(value)ms'" : "\(value)"
    return Configuration.check(
      file: "f", text: [UInt8]("{limits:{\(limit.name.rawValue):\(text)}}".utf8))
  }
}
