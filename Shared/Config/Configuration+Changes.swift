internal import JSON

/// What a service does with settings that have changed while it runs.
public struct SettingsChanges: Sendable, Equatable {
  /// In force from now on.
  public var atOnce: [String] = []
  /// In force for what begins from now on.
  public var newcomers: [String] = []
  /// As they were until the service is started again.
  public var restart: [String] = []

  /// As they were, since they could not be taken over; why, the service says.
  public var left: [String] = []

  /// Takes out what a service has not taken over after all.
  public mutating func leave(_ names: Set<String>) {
    left = (atOnce + newcomers).filter(names.contains)
    atOnce.removeAll(where: names.contains)
    newcomers.removeAll(where: names.contains)
  }

  public var isEmpty: Bool { left.isEmpty && atOnce.isEmpty && newcomers.isEmpty && restart.isEmpty }

  /// One line: `in force: limits.pingInterval; needs a restart: gateway.loops; as before: channels`.
  /// Empty where nothing has changed.
  public var summary: String {
    let parts = [
      ("in force", atOnce), ("for newcomers", newcomers), ("needs a restart", restart),
      ("as before", left),
    ]
    return parts.filter { !$0.1.isEmpty }
      .map { "\($0.0): \($0.1.joined(separator: ", "))" }.joined(separator: "; ")
  }
}

extension Configuration {
  /// What `service` makes of these settings.
  ///
  /// - Parameters:
  ///   - latest: what was taken over last.
  ///   - started: what the service was started with, which is what settings that need a restart are
  ///     held against.
  public func changes(
    for service: ServiceName, since latest: Configuration, started: Configuration
  ) -> SettingsChanges {
    var changes = SettingsChanges()
    for setting in Self.settings {
      switch setting.uptake(service) {
      case nil: break
      case .atOnce: if setting.differs(self, latest) { changes.atOnce.append(setting.name) }
      case .newcomers: if setting.differs(self, latest) { changes.newcomers.append(setting.name) }
      case .restart: if setting.differs(self, started) { changes.restart.append(setting.name) }
      }
    }
    return changes
  }

  /// Every setting, by the name that a problem with it would have.
  public static var settingNames: [String] { settings.map(\.name) }

  /// One setting: who keeps to it, and when another value is taken over.
  private struct Setting: Sendable {
    let name: String
    /// Nil for a service that it does not concern.
    let uptake: @Sendable (ServiceName) -> Limit.Uptake?
    let differs: @Sendable (Configuration, Configuration) -> Bool

    init<Value: Equatable & SendableMetatype>(
      _ name: String, _ path: any KeyPath<Configuration, Value> & Sendable,
      _ uptake: Limit.Uptake,
      _ services: ServiceName...
    ) {
      self.name = name
      self.uptake = { services.isEmpty || services.contains($0) ? uptake : nil }
      differs = { $0[keyPath: path] != $1[keyPath: path] }
    }

    init(_ limit: Limit) {
      name = "limits.\(limit.name.rawValue)"
      uptake = { limit.keepers.contains($0) ? limit.uptake : nil }
      differs = { $0.limits.text(of: limit) != $1.limits.text(of: limit) }
    }
  }

  private static let settings: [Setting] =
    rules + doors + services + Limits.table.map { Setting($0) } + rest

  private static let rules = [
    Setting("channels", \.channels, .atOnce, .gateway),
    Setting(
      "channels (type, options, history and presence of those there were)", \.channels.kept, .restart,
      .gateway),
    Setting("apiKeys", \.apiKeys, .atOnce, .gateway),
    Setting("routes", \.routes, .atOnce, .gateway),
    Setting("channels (what is told of them)", \.channels.told, .restart, .presence),
  ]

  private static let doors = [
    Setting("gateway.listen", \.gateway.listen, .restart, .gateway),
    Setting("gateway.loops", \.gateway.loops, .restart, .gateway),
    Setting("gateway.origins", \.gateway.origins, .restart, .gateway),
    Setting("gateway.hosts", \.gateway.hosts, .restart, .gateway),
    Setting("gateway.anonymous", \.gateway.anonymous, .restart, .gateway),
    Setting("gateway.trustedProxies", \.gateway.proxies, .restart, .gateway),
    Setting("gateway.forwardedField", \.gateway.forwardedField, .restart, .gateway),
    Setting("gateway.proxyProtocol", \.gateway.proxyProtocol, .restart, .gateway),
    Setting("api.keyFile", \.api.keyFile, .restart, .gateway),
    Setting("tls.certificate", \.tls.certificate, .restart, .gateway),
    Setting("tls.key", \.tls.key, .restart, .gateway),
    Setting("tls.minimum", \.tls.minimum, .restart, .gateway),
    Setting("tls.resumption", \.tls.resumption, .restart, .gateway),
    Setting("tls.strictTransportSecurity", \.tls.strictTransportSecurity, .restart, .gateway),
    Setting("identity.keyFiles", \.identity.keyFiles, .atOnce, .gateway),
    Setting("identity.algorithms", \.identity.algorithms, .restart, .gateway),
    Setting("identity.issuer", \.identity.issuer, .restart, .gateway),
    Setting("identity.audience", \.identity.audience, .restart, .gateway),
    Setting("identity.type", \.identity.type, .restart, .gateway),
    Setting("identity.leeway", \.identity.leeway, .restart, .gateway),
    Setting("identity.required", \.identity.isRequired, .restart, .gateway),
    Setting("identity.connectTimeout", \.identity.connectTimeout, .restart, .gateway),
    Setting("identity.ticketTTL", \.identity.ticketTTL, .restart, .gateway),
    Setting("identity.ticketDirectory", \.identity.ticketDirectory, .restart, .gateway),
    Setting("identity.revocationTTL", \.identity.revocationTTL, .restart, .gateway),
    Setting("compression.enabled", \.compression.enabled, .newcomers, .gateway),
    Setting("compression.threshold", \.compression.threshold, .atOnce, .gateway),
    Setting("compression.level", \.compression.level, .atOnce, .gateway),
    Setting("compression.windowBits", \.compression.windowBits, .newcomers, .gateway),
    Setting("compression.contextTakeover", \.compression.contextTakeover, .newcomers, .gateway),
    Setting("compression.contextWindowBits", \.compression.contextWindowBits, .newcomers, .gateway),
    Setting("socketio.enabled", \.socketio.enabled, .restart, .gateway),
    Setting("socketio.path", \.socketio.path, .restart, .gateway),
    Setting("socketio.perMessageDeflate", \.socketio.perMessageDeflate, .restart, .gateway),
    Setting("socketio.httpCompression", \.socketio.httpCompression, .restart, .gateway),
    Setting("socketio.pingInterval", \.socketio.pingInterval, .restart, .gateway),
    Setting("socketio.pingTimeout", \.socketio.pingTimeout, .restart, .gateway),
    Setting("socketio.upgradeTimeout", \.socketio.upgradeTimeout, .restart, .gateway),
    Setting("socketio.connectTimeout", \.socketio.connectTimeout, .restart, .gateway),
    Setting("socketio.maxHttpBufferSize", \.socketio.maxHttpBufferSize, .restart, .gateway),
    Setting("socketio.maxAttachments", \.socketio.maxAttachments, .restart, .gateway),
    Setting("socketio.transports", \.socketio.transports, .restart, .gateway),
    Setting("socketio.allowUpgrades", \.socketio.allowUpgrades, .restart, .gateway),
    Setting("socketio.events", \.socketio.events, .restart, .gateway),
    Setting("socketio.namespaces", \.socketio.namespaces, .restart, .gateway),
    Setting(
      "socketio.connectionStateRecovery", \.socketio.connectionStateRecovery, .restart, .gateway),
    Setting("socketio.engine", \.socketio.engine, .restart, .gateway),
    Setting("centrifuge.calls", \.centrifuge.calls, .restart, .gateway),
    Setting("centrifuge.personalChannel", \.centrifuge.personalChannel, .restart, .gateway),
    Setting("centrifuge.joinLeave", \.centrifuge.joinLeave, .restart, .gateway),
    Setting("centrifuge.cacheRecovery", \.centrifuge.cacheRecovery, .restart, .gateway),
    Setting("hooks.connect", \.hooks.urls[.connect], .restart, .gateway),
    Setting("hooks.refresh", \.hooks.urls[.refresh], .restart, .gateway),
    Setting("hooks.subscribe", \.hooks.urls[.subscribe], .restart, .gateway),
    Setting("hooks.subRefresh", \.hooks.urls[.subRefresh], .restart, .gateway),
    Setting("hooks.publish", \.hooks.urls[.publish], .restart, .gateway),
    Setting("hooks.rpc", \.hooks.urls[.rpc], .restart, .gateway),
    Setting("hooks.events", \.hooks.urls[.events], .restart, .presence),
    Setting("hooks.keyFile", \.hooks.keyFile, .restart, .gateway, .presence),
    Setting("hooks.caFile", \.hooks.caFile, .restart, .gateway, .presence),
    Setting("hooks.timeout", \.hooks.timeout, .restart, .gateway, .presence),
    Setting("hooks.concurrency", \.hooks.concurrency, .restart, .gateway),
    Setting("hooks.queue", \.hooks.queue, .restart, .gateway),
    Setting("hooks.answerBytes", \.hooks.answerBytes, .restart, .gateway, .presence),
    Setting("hooks.headers", \.hooks.headers, .restart, .gateway),
    Setting("hooks.eventQueue", \.hooks.eventQueue, .restart, .presence),
    Setting("diagnostics.echo", \.diagnostics.echo, .restart, .gateway),
  ]

  private static let services = [
    Setting("hub.listen", \.hub.listen, .restart, .hub, .gateway, .eventstore),
    Setting("eventstore.listen", \.eventstore.listen, .restart, .eventstore, .gateway),
    Setting("eventstore.data", \.eventstore.data, .restart, .eventstore),
    Setting("presence.listen", \.presence.listen, .restart, .presence, .gateway),
    Setting("presence.lease", \.presence.lease, .restart, .presence),
    Setting("presence.grace", \.presence.grace, .restart, .presence),
    Setting("links.hub", \.links.hub, .restart, .hub, .gateway, .eventstore),
    Setting("links.eventstore", \.links.eventstore, .restart, .eventstore, .gateway),
    Setting("links.presence", \.links.presence, .restart, .presence, .gateway),
    Setting("links.keyFile", \.links.keyFile, .restart),
    Setting("links.users", \.links.users, .restart),
    Setting("vault.directory", \.vault.directory, .restart, .eventstore),
  ]

  private static let rest = [
    Setting("limits.loopbackExempt", \.limits.loopbackExempt, .newcomers, .gateway),
    Setting("log.level", \.log.level, .atOnce),
    Setting("log.subsystems", \.log.subsystems, .atOnce),
    Setting("log.format", \.log.format, .restart),
  ]
}

extension ChannelRules {
  /// What rules say that channels are and keep.
  fileprivate struct Kept: Equatable {
    let match: [ChannelPattern]
    let type: String
    let options: JSONValue
    let history: HistoryRule
    let presence: Bool
  }

  fileprivate var kept: [Kept] {
    rules.map {
      Kept(
        match: $0.match, type: $0.type, options: $0.options, history: $0.history,
        presence: $0.presence)
    }
  }
}

extension ChannelRules {
  /// What back ends are told of channels.
  fileprivate struct Told: Equatable {
    let match: [ChannelPattern]
    let hooks: ChannelHooks
  }

  fileprivate var told: [Told] {
    rules.map { Told(match: $0.match, hooks: $0.hooks.intersection(.events)) }
  }
}

extension GatewaySettings {
  /// What `trustedProxies` says, as it is compared.
  fileprivate struct Proxies: Equatable {
    let ranges: [AddressRange]
    let trustsUnix: Bool
  }

  fileprivate var proxies: Proxies { Proxies(ranges: trustedProxies, trustsUnix: trustsUnixPeers) }
}
