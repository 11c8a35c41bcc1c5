/// The section `tls`: how the gateway's public listener speaks https and wss. Without a certificate it
/// speaks http and ws.
public struct TLSSettings: Sendable, Equatable {
  /// A version of TLS as a configuration writes it.
  public enum Version: String, Sendable, CaseIterable, Hashable {
    case tls12 = "1.2"
    case tls13 = "1.3"
  }

  /// The file with the certificate and those that lead to a root, in PEM.
  public var certificate: File?
  /// The file with the certificate's private key, in PEM, without a password.
  public var key: File?
  /// The oldest version that is spoken.
  public var minimum = Version.tls12
  /// Whether clients may come back with a ticket in place of a full handshake.
  public var resumption = true
  /// How long browsers are told to use https only; nil: they are told nothing.
  public var strictTransportSecurity: Duration?

  /// A file that a setting names, and where it does, for what is found wrong with the file.
  public struct File: Sendable, Equatable {
    public let path: String
    public let place: ConfigPlace

    public init(path: String, place: ConfigPlace = .defaults) {
      self.path = path
      self.place = place
    }

    /// The same file, wherever it is named.
    public static func == (one: File, other: File) -> Bool { one.path == other.path }
  }

  public init() {}
}

extension TLSSettings {
  init(reading value: ConfigValue?, _ reading: inout ConfigReading) {
    self.init()
    var reader = SettingsReader(value, path: "tls", &reading)
    certificate = reader.read("certificate", &reading) { value throws(Refused) in try value.file() }
    key = reader.read("key", &reading) { value throws(Refused) in try value.file() }
    minimum = reader.choice("minimum", &reading) ?? minimum
    resumption =
      reader.read("resumption", &reading) { value throws(Refused) in try value.bool() } ?? resumption
    strictTransportSecurity = reader.duration(
      "strictTransportSecurity", in: 1_000...(730 * 86_400_000), &reading)
    reader.finish(&reading)
    checkTogether(&reading)
  }

  private func checkTogether(_ reading: inout ConfigReading) {
    switch (certificate, key) {
    case (let certificate?, nil):
      reading.report(certificate.place, "tls.key", "name the file with the certificate's key as well")
    case (nil, let key?):
      reading.report(key.place, "tls.certificate", "name the file with the key's certificate as well")
    default: break
    }
  }
}

extension ConfigValue {
  fileprivate func file() throws(Refused) -> TLSSettings.File {
    TLSSettings.File(path: try text(), place: place)
  }
}
