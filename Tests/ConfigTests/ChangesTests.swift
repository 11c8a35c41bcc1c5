import Config
import Testing

/// What a running service takes over of settings that have changed.
@Suite struct ChangesTests {
  private func read(_ text: String) -> Configuration {
    let check = Configuration.check(file: "f", text: [UInt8](text.utf8))
    #expect(check.report == "")
    return check.configuration
  }

  private func changes(
    _ new: String, _ service: ServiceName = .gateway, since latest: String = "{}",
    started: String = "{}"
  ) -> SettingsChanges {
    read(new).changes(for: service, since: read(latest), started: read(started))
  }

  @Test func sameSettingsHaveNoChange() {
    let text = "{limits:{connections:7}, gateway:{loops:2}}"
    for service in ServiceName.allCases {
      #expect(changes(text, service, since: text, started: text).isEmpty)
      #expect(changes(text, service, since: text, started: text).summary == "")
    }
  }

  @Test func eachIsNamedByWhenItIsInForce() {
    let found = changes(
      "{limits:{connections:7, wsFragments:9, hubChannels:99}, gateway:{loops:2}, log:{level:'debug'}}")
    #expect(found.atOnce == ["limits.connections", "log.level"])
    #expect(found.newcomers == ["limits.wsFragments"])
    #expect(found.restart == ["gateway.loops"])
    #expect(
      found.summary
        == "in force: limits.connections, log.level; for newcomers: limits.wsFragments; "
        + "needs a restart: gateway.loops")
  }

  @Test func whatWasNotTakenOverIsSaidToBeAsBefore() {
    var found = changes("{limits:{connections:7}, channels:[{match:'a'}], gateway:{loops:2}}", .gateway)
    #expect(found.atOnce.contains("channels"))
    found.leave(["channels", "routes"])
    #expect(found.atOnce == ["limits.connections"] && found.left == ["channels"])
    #expect(found.summary.hasPrefix("in force: limits.connections; needs a restart: "))
    #expect(found.summary.hasSuffix("; as before: channels"))
  }

  @Test func aServiceNamesWhatConcernsIt() {
    let text = "{limits:{connections:7, hubChannels:99}, gateway:{loops:2}, log:{level:'debug'}}"
    #expect(changes(text, .hub).atOnce == ["limits.hubChannels", "log.level"])
    let slow = "{limits:{durableIdempotencyWindow:'2d', drainTimeout:'9s'}}"
    #expect(
      changes(slow, .eventstore).summary
        == "in force: limits.drainTimeout; needs a restart: limits.durableIdempotencyWindow")
    #expect(changes(slow, .hub).summary == "in force: limits.drainTimeout")
    #expect(changes(text, .presence).summary == "in force: log.level")
    let moved = "{hub:{listen:'unix:/run/other.sock'}}"
    for service in ServiceName.allCases {
      let isConcerned = service != .presence
      #expect(changes(moved, service).restart == (isConcerned ? ["hub.listen"] : []), "\(service)")
    }
  }

  /// What was taken over once is in force; what needs a restart is said until there is one.
  @Test func whatNeedsARestartIsSaidEachTimeAndNothingElseIs() {
    let text = "{limits:{connections:7}, gateway:{loops:2}}"
    #expect(changes(text, since: text).summary == "needs a restart: gateway.loops")
    #expect(changes("{}", since: text).summary == "in force: limits.connections")
  }

  @Test func whatAChannelIsNeedsARestartAndWhoMayDoWhatDoesNot() {
    func rules(_ rule: String) -> String { "{channels:[{match:'a', \(rule)}]}" }
    let before = rules("history:{size:5}")
    func summary(_ new: String) -> String {
      changes(rules(new), since: before, started: before).summary
    }
    #expect(summary("history:{size:5}") == "")
    #expect(summary("history:{size:5}, publish:'none', class:'bulk'") == "in force: channels")
    #expect(
      summary("history:{size:6}")
        == "in force: channels; needs a restart: "
        + "channels (type, options, history and presence of those there were)")
  }

  @Test func everySettingIsTakenOverOrSaidToNeedARestart() {
    let names = Set(Configuration.settingNames)
    #expect(names.count == Configuration.settingNames.count)
    for line in ConfigReference.variablesTable.split(separator: "\n").dropFirst(2) {
      let setting = String(line.split(separator: "`")[3])
      #expect(names.contains(setting), "\(setting)")
    }
    for name in ["channels", "apiKeys", "routes", "log.subsystems", "limits.loopbackExempt"] {
      #expect(names.contains(name), "\(name)")
    }
    for limit in Limits.table { #expect(names.contains("limits.\(limit.name.rawValue)")) }
  }

  /// Each row: another value of it is one change, for one service at least.
  @Test(arguments: LimitName.allCases)
  func everyLimitIsNamedWhenItChanges(name: LimitName) throws {
    let limit = try #require(Limits.table.first { $0.name == name })
    let isLowest = Limits().value(of: limit) == limit.range.lowerBound
    let value = isLowest ? limit.range.upperBound : limit.range.lowerBound
    let other = LimitsTests.check(limit, value).configuration
    let concerned = ServiceName.allCases.filter { service in
      let found = other.changes(for: service, since: Configuration(), started: Configuration())
      let named = found.atOnce + found.newcomers + found.restart
      #expect(named.isEmpty || named == ["limits.\(name.rawValue)"], "\(service) \(named)")
      return !named.isEmpty
    }
    #expect(!concerned.isEmpty)
  }

  // MARK: settings that exclude each other

  /// What the gateway would refuse at start is found beforehand.
  @Test func theProxyProtocolAndTLSAreRefusedTogether() {
    func report(_ text: String) -> String {
      Configuration.check(file: "f", text: [UInt8](text.utf8)).report
    }
    let gateway = "gateway:{trustedProxies:['10.0.0.1'], proxyProtocol:true}"
    let tls = "tls:{\ncertificate:'c.pem',\nkey:'k.pem'}"
    #expect(report("{\(gateway)}") == "" && report("{\(tls)}") == "")
    let both = report("{\(gateway), \(tls)}")
    #expect(both.hasPrefix("f:2: tls.certificate: leave out tls or gateway.proxyProtocol"), "\(both)")
    #expect(both.split(separator: "\n").count == 1)
  }
}
