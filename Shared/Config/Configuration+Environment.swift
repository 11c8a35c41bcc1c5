// Environment variables override single settings of a file: `SAPPHIRE_GATEWAY_LISTEN` is
// `gateway.listen`, `SAPPHIRE_LIMITS_WS_MESSAGE_BYTES` is `limits.wsMessageBytes`.

extension Configuration {
  private static let prefix = "SAPPHIRE_"

  /// Variables of the prefix that are no settings: they belong to the command line.
  private static let otherVariables: Set<String> = [
    "SAPPHIRE_DATA", "SAPPHIRE_CONFIG", "SAPPHIRE_URL", "SAPPHIRE_API_KEY",
    "SAPPHIRE_CA", "SAPPHIRE_TOKEN",
  ]

  /// The variable of every setting that can be overridden, with its section and key.
  static let variables: [String: (section: String, key: String)] = {
    // Reading nothing tells which keys there are.
    var reading = ConfigReading(file: "")
    _ = Configuration(reading: nil, types: [], &reading)
    var variables: [String: (section: String, key: String)] = [:]
    for (section, keys) in reading.keys where !section.isEmpty {
      for key in keys {
        variables[prefix + upperSnake(section) + "_" + upperSnake(key)] = (section, key)
      }
    }
    // A mapping of free names can't be one variable.
    variables["SAPPHIRE_LOG_SUBSYSTEMS"] = nil
    variables["SAPPHIRE_SOCKETIO_NAMESPACES"] = nil
    return variables
  }()

  /// The file's value with what the environment overrides put in.
  static func overriding(
    _ root: ConfigValue?, with environment: [String: String], _ reading: inout ConfigReading
  ) -> ConfigValue? {
    var merged = root
    for name in environment.keys.sorted() {
      guard name.hasPrefix(prefix), !otherVariables.contains(name), let text = environment[name]
      else { continue }
      if let (section, key) = variables[name] {
        let value = ConfigValue(.string(text), at: .variable(name))
        merged = (merged ?? ConfigValue(.object([]), at: .defaults))
          .setting([section, key], to: value)
      } else if isMeantForUs(name) {
        let hint = nearest(to: name, among: variables.keys.sorted()).map { "did you mean \($0)?" }
        reading.report(
          .variable(name), "", "no setting has this variable; \(hint ?? "remove it")")
      }
    }
    return merged
  }

  /// Whether a variable that is no setting was likely meant to be one. Kubernetes gives every
  /// container `<SERVICE>_SERVICE_HOST`, `<SERVICE>_PORT` and their like, also for a service that
  /// is called sapphire-gateway; those are not ours.
  private static func isMeantForUs(_ name: String) -> Bool {
    let sections = Set(variables.values.map { prefix + upperSnake($0.section) + "_" })
    guard let section = sections.first(where: { name.hasPrefix($0) }) else { return false }
    let key = name.dropFirst(section.count)
    return !(key.hasPrefix("SERVICE_") || key == "PORT" || key.hasPrefix("PORT_"))
  }

  /// `wsMessageBytes` as `WS_MESSAGE_BYTES`, `httpURLBytes` as `HTTP_URL_BYTES`.
  static func upperSnake(_ name: String) -> String {
    var text = ""
    let letters = Array(name)
    for (index, letter) in letters.enumerated() {
      let startsWord =
        index > 0 && letter.isUppercase
        && (letters[index - 1].isLowercase
          || index + 1 < letters.count && letters[index + 1].isLowercase)
      if startsWord { text += "_" }
      text += letter.uppercased()
    }
    return text
  }
}

extension ConfigValue {
  /// A copy in which the setting at `path` is `value`; objects on the way are made. What is there
  /// and is no object is left for reading to report.
  fileprivate func setting(_ path: [String], to value: ConfigValue) -> ConfigValue {
    guard let key = path.first else { return value }
    var members: [ConfigMember]
    switch content {
    case .object(let found): members = found
    case .null: members = []
    default: return self
    }
    let rest = Array(path.dropFirst())
    if let index = members.firstIndex(where: { $0.key == key }) {
      members[index].value = members[index].value.setting(rest, to: value)
    } else {
      let inner = ConfigValue(.object([]), at: value.place).setting(rest, to: value)
      members.append(ConfigMember(key: key, place: value.place, value: inner))
    }
    return ConfigValue(.object(members), at: place)
  }
}
