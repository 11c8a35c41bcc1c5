// Each section in the order of its settings; what is absent or refused keeps its default.

extension GatewaySettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "gateway", &reading)
    let listen = reader.endpoints(
      "listen", &reading, ifEmpty: "name at least one address to listen on")
    if !listen.isEmpty { self.listen = listen }
    loops = reader.read("loops", &reading) { value throws(Refused) in try value.int(in: 1...1_024) }
    origins =
      reader.list("origins", &reading) { value throws(Refused) in try value.origin() } ?? []
    hosts = reader.list("hosts", &reading) { value throws(Refused) in try value.hostName() } ?? []
    anonymous = reader.choice("anonymous", &reading) ?? anonymous
    readProxies(&reader, &reading)
    reader.finish(&reading)
  }
}

extension GatewaySettings {
  private mutating func readProxies(_ reader: inout SettingsReader, _ reading: inout ConfigReading) {
    let proxies =
      reader.list("trustedProxies", &reading) { value throws(Refused) in
        try value.proxy()
      } ?? []
    trustedProxies = proxies.compactMap(\.self)
    trustsUnixPeers = proxies.contains(nil)
    forwardedField = reader.choice("forwardedField", &reading) ?? forwardedField
    let speaks = reader.read("proxyProtocol", &reading) { value throws(Refused) in
      try value.bool()
    }
    proxyProtocol = speaks ?? proxyProtocol
    if proxyProtocol, proxies.isEmpty {
      reading.report(
        reader.place, "gateway.proxyProtocol", "name the proxies that speak it in trustedProxies")
    }
  }
}

extension HubSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "hub", &reading)
    listen = reader.endpoints("listen", &reading)
    reader.finish(&reading)
  }
}

extension EventStoreSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "eventstore", &reading)
    listen = reader.endpoints("listen", &reading)
    data = reader.text("data", &reading)
    reader.finish(&reading)
  }
}

extension PresenceSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "presence", &reading)
    listen = reader.endpoints("listen", &reading)
    lease = reader.duration("lease", in: 1_000...600_000, &reading) ?? lease
    grace = reader.duration("grace", in: 0...600_000, &reading) ?? grace
    reader.finish(&reading)
    if grace > lease {
      reading.report(
        reader.place, "presence.grace",
        "write a grace of at most the lease, "
          + written(milliseconds: lease.milliseconds))
    }
  }
}

extension LinkSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "links", &reading)
    hub = reader.read("hub", &reading) { value throws(Refused) in try value.peer() }
    eventstore = reader.read("eventstore", &reading) { value throws(Refused) in try value.peer() }
    presence = reader.read("presence", &reading) { value throws(Refused) in try value.peer() }
    keyFile = reader.text("keyFile", &reading)
    users = reader.list("users", &reading) { value throws(Refused) in try value.text() } ?? users
    reader.finish(&reading)
  }
}

extension APISettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "api", &reading)
    keyFile = reader.text("keyFile", &reading)
    reader.finish(&reading)
  }
}

extension DiagnosticsSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "diagnostics", &reading)
    echo = reader.choice("echo", &reading) ?? echo
    reader.finish(&reading)
  }
}

extension LogSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "log", &reading)
    level = reader.choice("level", &reading) ?? level
    format = reader.choice("format", &reading) ?? format
    subsystems = Self.subsystems(reader.take("subsystems"), &reading)
    reader.finish(&reading)
  }

  /// An object of free names and levels: `{ "gateway.link": "debug" }`.
  private static func subsystems(
    _ value: ConfigValue?, _ reading: inout ConfigReading
  ) -> [Subsystem] {
    guard let value else { return [] }
    guard case .object(let members) = value.content else {
      reading.report(
        value.place, "log.subsystems", "write an object here: { \"gateway.link\": \"debug\" }")
      return []
    }
    var subsystems: [Subsystem] = []
    for member in members {
      let setting = "log.subsystems.\(member.key)"
      do throws(Refused) {
        guard !member.key.isEmpty, !member.key.utf8.contains(where: { $0 == 0x2C || $0 == 0x3D })
        else { throw Refused("a subsystem's name is not empty and has no comma or equals sign") }
        subsystems.append(
          Subsystem(name: member.key, level: try member.value.choice(of: Level.self)))
      } catch {
        reading.report(member.place, setting, error.reason)
      }
    }
    return subsystems
  }
}

extension VaultSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "vault", &reading)
    directory = reader.text("directory", &reading)
    reader.finish(&reading)
  }
}

extension SettingsReader {
  mutating func text(_ key: String, _ reading: inout ConfigReading) -> String? {
    read(key, &reading) { value throws(Refused) in try value.text() }
  }

  /// Where a service listens: one endpoint, in a list or by itself.
  mutating func endpoints(
    _ key: String, _ reading: inout ConfigReading, ifEmpty: String? = nil
  ) -> [Endpoint] {
    var count = 0
    return list(key, &reading, ifEmpty: ifEmpty) { value throws(Refused) in
      count += 1
      guard count == 1 else {
        throw Refused(
          "a service listens on one endpoint: [::]:PORT is reached over IPv4 and IPv6; for another start one more service"
        )
      }
      return try value.endpoint()
    } ?? []
  }

  mutating func choice<Choice: CaseIterable & RawRepresentable<String>>(
    _ key: String, _ reading: inout ConfigReading
  ) -> Choice? {
    read(key, &reading) { value throws(Refused) in try value.choice(of: Choice.self) }
  }

  mutating func duration(
    _ key: String, in range: ClosedRange<Int64>, _ reading: inout ConfigReading
  ) -> Duration? {
    read(key, &reading) { value throws(Refused) in try value.duration(in: range) }
  }
}

extension ConfigValue {
  /// An endpoint that can be connected to.
  func peer() throws(Refused) -> Endpoint {
    let endpoint = try endpoint()
    if case .tcp(_, port: 0) = endpoint {
      throw Refused("port 0 can only be listened on; write the port that the service has")
    }
    return endpoint
  }

  /// A range of addresses; nil for `unix`.
  func proxy() throws(Refused) -> AddressRange? {
    let text = try text()
    if text == "unix" { return nil }
    guard let range = AddressRange(text) else {
      throw Refused(
        "write an address or a range such as \"10.0.0.0/8\" or \"2001:db8::/32\", or \"unix\"")
    }
    return range
  }

  /// A name or an address as it stands in `Host`, in lower case and without a port; `*` for any.
  func hostName() throws(Refused) -> String {
    let remedy = Refused(
      "write a host such as \"chat.example.org\" or \"[2001:db8::1]\" without a port, or \"*\"")
    guard case .string(let text) = content else { throw remedy }
    if text == "*" { return text }
    guard !text.hasPrefix("unix:"), !text.hasPrefix("tcp:"), !text.hasPrefix("*"),
      (try? Endpoint("\(text):1")) != nil
    else { throw remedy }
    return text.lowercased()
  }

  /// RFC 6454 §6.2: scheme, host and perhaps port, nothing after it.
  func origin() throws(Refused) -> String {
    let remedy = Refused("write an origin such as \"https://app.example.org\", without a path")
    guard case .string(let text) = content else { throw remedy }
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
      let authority = String(text.dropFirst(scheme.count))
      let isWhole = (try? Endpoint(authority)) != nil || (try? Endpoint("\(authority):1")) != nil
      guard isWhole, !authority.hasPrefix("unix:"), !authority.hasPrefix("tcp:") else { break }
      return text
    }
    throw remedy
  }
}
