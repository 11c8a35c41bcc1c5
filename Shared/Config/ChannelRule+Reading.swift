internal import Bytes
internal import JSON
internal import Schema

extension ChannelRules {
  /// The rules of the section `channels`, or the standard ones where it is absent.
  ///
  /// - Parameter types: the channel types that are compiled in; empty: any name is taken.
  init(reading value: ConfigValue?, types: [String], _ reading: inout ConfigReading) {
    guard let value, value.content != .null else {
      self = .standard
      return
    }
    guard case .array(let elements) = value.content else {
      reading.report(value.place, "channels", "write a list of rules: [ { match: …, type: … } ]")
      self = .standard
      return
    }
    var rules: [ChannelRule] = []
    var seen: [(pattern: ChannelPattern, place: ConfigPlace)] = []
    for (index, element) in elements.enumerated() {
      let path = "channels[\(index)]"
      let rule = ChannelRule(reading: element, path: path, types: types, &reading)
      for pattern in rule.match {
        if let earlier = seen.first(where: { Self.hides($0.pattern, pattern) }) {
          let place = if case .line(let line) = earlier.place { " in line \(line)" } else { "" }
          reading.report(
            element.place, "\(path).match",
            "\"\(pattern)\" is never reached: \"\(earlier.pattern)\"\(place) matches first; "
              + "move this rule up or remove it")
        }
      }
      seen += rule.match.map { ($0, element.place) }
      rules.append(rule)
    }
    self.init(rules)
  }

  /// Whether `earlier` matches all that `later` does, as far as that is plain to see.
  private static func hides(_ earlier: ChannelPattern, _ later: ChannelPattern) -> Bool {
    if earlier.matchesEverything || earlier.text == later.text { return true }
    return later.exactName.map { earlier.matches($0) } ?? false
  }
}

extension ChannelRule {
  init(
    reading value: ConfigValue, path: String, types: [String], _ reading: inout ConfigReading
  ) {
    var reader = SettingsReader(value, path: path, &reading)
    let remedy = "name the channels, such as \"map:*\""
    let match = reader.list("match", &reading, ifEmpty: remedy) { value throws(Refused) in
      try value.pattern()
    }
    if match == nil { reading.report(value.place, "\(path).match", remedy) }
    self.init(match: match ?? [])
    let soundSoFar = reading.problems.count
    if let type = reader.read(
      "type", &reading,
      { value throws(Refused) in
        try value.channelType(among: types)
      })
    {
      self.type = type
    }
    if let options = reader.take("options") {
      if case .object = options.content {
        self.options = options.json
      } else {
        reading.report(options.place, "\(path).options", "write an object here: { … }")
      }
    }
    history = HistoryRule(
      reading: reader.take("history"), path: "\(path).history", &reading, &retention)
    // What was refused counts as absent, and its type would complain of that.
    if reading.problems.count == soundSoFar { askType(value, path, &reading) }
    subscribe = AccessRule(reading: "subscribe", of: &reader, &reading)
    publish = AccessRule(reading: "publish", of: &reader, &reading)
    readHistory = AccessRule(reading: "readHistory", of: &reader, &reading)
    seePresence = AccessRule(reading: "seePresence", of: &reader, &reading)
    checkOwners(value.place, path, &reading)
    if let members = reader.read("presence", &reading, { value throws(Refused) in try value.members() }) {
      (presence, countsConnections) = (members != .none, members == .connections)
    }
    compress =
      reader.read("compress", &reading) { value throws(Refused) in try value.bool() } ?? true
    messageClass = reader.choice("class", &reading)
    maxSubscribers = reader.read("maxSubscribers", &reading) { value throws(Refused) in
      try value.int(in: 1...10_000_000)
    }
    priority =
      reader.read("priority", &reading) { value throws(Refused) in try value.priority() } ?? .normal
    slowConsumer = SlowConsumerRule(
      reading: reader.take("slowConsumer"), path: "\(path).slowConsumer", history: history, &reading)
    require = reader.list("require", &reading) { value throws(Refused) in try value.text() } ?? []
    if let value = reader.take("schema") {
      do throws(SchemaProblem) { schema = try JSONSchema(value.json) } catch {
        let way = error.path.isEmpty ? "" : ".\(error.path)"
        reading.report(value.place(of: error.path), "\(path).schema\(way)", error.reason)
      }
    }
    hooks = ChannelHooks(
      reader.list("hooks", &reading) { value throws(Refused) in try value.channelHook() } ?? [])
    checkHooks(value.place, path, &reading)
    reader.finish(&reading)
  }

  private func askType(_ value: ConfigValue, _ path: String, _ reading: inout ConfigReading) {
    guard let fault = reading.channelFault?(self) else { return }
    let option = fault.option.map { "options.\($0)" }
    reading.report(
      option.map { value.place(of: $0) } ?? value.place, path + (option.map { ".\($0)" } ?? ".type"),
      fault.reason)
  }

  /// "owner" needs a name that can say whose channel it is.
  private func checkOwners(_ place: ConfigPlace, _ path: String, _ reading: inout ConfigReading) {
    let lists = [subscribe, publish, readHistory, seePresence]
    guard lists.contains(where: { $0?.grants.contains(.owner) ?? false }),
      let pattern = match.first(where: { !$0.canHaveOwners })
    else { return }
    reading.report(
      place, "\(path).match",
      "\"owner\" is nobody here: \"\(pattern)\" has neither {user} nor a # before the users' names")
  }
}

extension ConfigValue {
  /// Where the value at `path` (names with dots between) was written; what holds it if that can't be told.
  fileprivate func place(of path: String) -> ConfigPlace {
    var value = self
    var place = value.place
    for name in path.split(separator: ".") {
      guard case .object(let members) = value.content,
        let member = members.first(where: { $0.key == name })
      else { break }
      value = member.value
      place = member.place
    }
    return place
  }
}

extension HistoryRule {
  /// Absent or "none": none. An object: size and ttl of a history in memory, or durable alone.
  init(
    reading value: ConfigValue?, path: String, _ reading: inout ConfigReading,
    _ retention: inout RetentionRule?
  ) {
    self = .none
    guard let value, value.content != .string("none") else { return }
    guard case .object = value.content else {
      reading.report(
        value.place, path, "write \"none\", { durable: true } or { size: 100, ttl: \"5m\" }")
      return
    }
    var reader = SettingsReader(value, path: path, &reading)
    let durable = reader.read("durable", &reading) { value throws(Refused) in try value.bool() }
    let size = reader.read("size", &reading) { value throws(Refused) in
      try value.int(in: 1...100_000)
    }
    let ttl = reader.read("ttl", &reading) { value throws(Refused) in
      try value.duration(in: 1_000...(365 * 86_400_000))
    }
    let keep = reader.take("keep")
    reader.finish(&reading)
    if let keep, durable != true {
      reading.report(keep.place, "\(path).keep", "is for a durable history; say size and ttl here")
    } else if let keep {
      retention = RetentionRule(reading: keep, path: "\(path).keep", &reading)
    }
    if durable == true {
      if size != nil || ttl != nil {
        reading.report(
          value.place, path,
          "a durable history keeps everything, or what `keep` says; leave out size and ttl")
      }
      self = .durable
    } else {
      self = .memory(size: size ?? Self.standardSize, ttl: ttl ?? Self.standardTTL)
    }
  }
}

extension RetentionRule {
  init?(reading value: ConfigValue, path: String, _ reading: inout ConfigReading) {
    guard case .object = value.content else {
      reading.report(
        value.place, path, "write { events: 100000 }, { bytes: \"1GiB\" } or { age: \"30d\" }")
      return nil
    }
    var reader = SettingsReader(value, path: path, &reading)
    events = reader.read("events", &reading) { value throws(Refused) in
      try value.int(in: 1...1_000_000_000_000)
    }
    bytes = reader.read("bytes", &reading) { value throws(Refused) in
      try value.bytes(in: 65_536...(1 << 50))
    }
    age = reader.read("age", &reading) { value throws(Refused) in
      try value.duration(in: 1_000...(100 * 365 * 86_400_000))
    }
    reader.finish(&reading)
  }
}

extension AccessRule {
  /// Nil where the key is absent. "none" stands alone.
  fileprivate init?(
    reading key: String, of reader: inout SettingsReader, _ reading: inout ConfigReading
  ) {
    let grants = reader.list(key, &reading) { value throws(Refused) in try value.grant() }
    guard let grants else { return nil }
    if grants.contains(nil), grants.count > 1 {
      reading.report(
        reader.place, reader.path(of: key), "\"none\" stands alone; remove it or the others")
    }
    self.init(grants.compactMap { $0 })
  }
}

/// Who are a channel's members.
enum ChannelMembers { case none, users, connections }

extension ConfigValue {
  fileprivate func members() throws(Refused) -> ChannelMembers {
    if case .string("connections") = content { return .connections }
    do throws(Refused) { return try bool() ? .users : .none } catch {
      throw Refused("write true, false or \"connections\"")
    }
  }

  func pattern() throws(Refused) -> ChannelPattern {
    guard case .string(let text) = content, let pattern = ChannelPattern(rule: text) else {
      throw Refused(
        "write a pattern of 1 to 255 of A-Z a-z 0-9 _ : . @ # , = - and * for any run of "
          + "characters; one {user}, with no * before or right behind it, is the owner's name")
    }
    return pattern
  }

  /// A grant, or nil for "none".
  func grant() throws(Refused) -> AccessRule.Grant? {
    guard case .string(let text) = content else {
      throw Refused(Self.grantRemedy)
    }
    switch text {
    case "none": return nil
    case "anonymous": return .anonymous
    case "user:*": return .anyUser
    case "owner": return .owner
    default: break
    }
    if text.hasPrefix("user:"), text.utf8.count > 5 { return .user(String(text.dropFirst(5))) }
    if text.hasPrefix("role:"), text.utf8.count > 5 { return .role(String(text.dropFirst(5))) }
    throw Refused("\"\(text)\" is nobody; \(Self.grantRemedy)")
  }

  private static let grantRemedy =
    "write \"anonymous\", \"user:NAME\", \"user:*\", \"role:NAME\", \"owner\" or \"none\""

  func channelType(among types: [String]) throws(Refused) -> String {
    let name = try text()
    guard !types.isEmpty, !types.contains(name) else { return name }
    let hint = nearest(to: name, among: types).map { "did you mean \"\($0)\"?" }
    throw Refused(
      "no channel type \"\(name)\" is compiled in; "
        + (hint ?? "there are \(types.sorted().joined(separator: ", "))"))
  }
}
