extension ConfigValue {
  /// A rate, or nil for "none".
  fileprivate func rate() throws(Refused) -> MessageRate? {
    guard case .string(let text) = content, text != "none" else {
      if content == .string("none") { return nil }
      throw Refused(Self.rateRemedy)
    }
    guard let rate = MessageRate(written: text) else { throw Refused(Self.rateRemedy) }
    return rate
  }

  private static let rateRemedy =
    "write a rate such as \"60/s\", \"100/m\" or \"1000/h burst 50\", each number from 1 to "
    + "\(MessageRate.countRange.upperBound), or \"none\""
}

extension Limits {
  /// The limits with what the section `limits` overrides.
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "limits", &reading)
    for limit in Self.table {
      let key = limit.name.rawValue
      switch limit.slot {
      case .count(let path):
        let read = reader.read(key, &reading) { value throws(Refused) in
          try value.int(in: limit.range)
        }
        if let read { self[keyPath: path] = read }
      case .bytes(let path):
        let read = reader.read(key, &reading) { value throws(Refused) in
          try value.bytes(in: limit.range)
        }
        if let read { self[keyPath: path] = read }
      case .duration(let path):
        let read = reader.read(key, &reading) { value throws(Refused) in
          try value.duration(in: limit.range)
        }
        if let read { self[keyPath: path] = read }
      case .rate(let path):
        let read = reader.read(key, &reading) { value throws(Refused) in try value.rate() }
        if let read { self[keyPath: path] = read }
      }
    }
    let exempt = reader.read("loopbackExempt", &reading) { value throws(Refused) in
      try value.bool()
    }
    if let exempt { loopbackExempt = exempt }
    reader.finish(&reading)
    checkTogether(at: reader.place, &reading)
  }

  /// Values that are possible one by one and not together.
  private func checkTogether(at place: ConfigPlace, _ reading: inout ConfigReading) {
    let pairs: [(small: LimitName, big: LimitName, why: String)] = [
      (.httpFieldBytes, .httpHeadBytes, "a field is part of the head"),
      (.httpURLBytes, .httpHeadBytes, "the request line is part of the head"),
      (.pongTimeout, .pingInterval, "an answer is due before the next ping"),
      (.publicationBytes, .clientQueueBytes, "a client's queue has to hold one publication"),
      (.publicationBytes, .commitBytes, "a commit has to hold one publication"),
      (.publicationBytes, .httpBodyBytes, "a body has to hold one publication"),
      (.clientQueueBytes, .clientMemoryBytes, "it has to hold one client's queue"),
      (.wsMessageBytes, .clientMemoryBytes, "it has to hold one message"),
      (.httpBodyBytes, .clientMemoryBytes, "it has to hold one body"),
    ]
    for pair in pairs {
      guard let small = Self.table.first(where: { $0.name == pair.small }),
        let big = Self.table.first(where: { $0.name == pair.big }),
        big.name != .clientMemoryBytes || clientMemoryBytes > 0,
        value(of: small) > value(of: big)
      else { continue }
      reading.report(
        place, "limits.\(pair.small.rawValue)",
        "\(text(of: small)) is over \(pair.big.rawValue), \(text(of: big)); \(pair.why)")
    }
  }
}
