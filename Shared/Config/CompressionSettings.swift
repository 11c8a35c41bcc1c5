/// The section `compression`: permessage-deflate on client sockets (RFC 7692).
public struct CompressionSettings: Sendable, Equatable {
  /// Whether clients that offer compression are given it.
  public var enabled = true
  /// Publications below this many bytes go out as they are.
  public var threshold = 1_024
  /// 1 is fastest, 9 smallest.
  public var level = 1
  /// The window of messages that all subscribers share, 9 to 15; zlib can't compress with 8.
  public var windowBits = 15
  /// Whether a connection keeps its context from message to message, which compresses small ones
  /// well and costs memory for each connection and work for each delivery.
  public var contextTakeover = false
  /// The windows of connections that keep one, in both directions.
  public var contextWindowBits = 11

  public init() {}
}

extension CompressionSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "compression", &reading)
    func bits(_ key: String) -> Int? {
      reader.read(key, &reading) { value throws(Refused) in
        try value.int(in: 9...15)
      }
    }
    enabled =
      reader.read("enabled", &reading) { value throws(Refused) in try value.bool() } ?? enabled
    threshold =
      reader.read("threshold", &reading) { value throws(Refused) in
        try value.bytes(in: 0...(16 << 20))
      } ?? threshold
    level =
      reader.read("level", &reading) { value throws(Refused) in try value.int(in: 1...9) } ?? level
    windowBits = bits("windowBits") ?? windowBits
    contextTakeover =
      reader.read("contextTakeover", &reading) { value throws(Refused) in try value.bool() }
      ?? contextTakeover
    contextWindowBits = bits("contextWindowBits") ?? contextWindowBits
    reader.finish(&reading)
  }
}
