import Config
import Testing

@Suite struct TLSSettingsTests {
  @Test func readsTheSectionAndWhereItsFilesAreNamed() throws {
    let check = ConfigurationTests.check(
      """
      { tls: {
          certificate: "/a/chain.pem",
          key: "/a/key.pem", minimum: "1.3", resumption: false, strictTransportSecurity: "180d" } }
      """)
    #expect(check.report == "")
    let tls = check.configuration.tls
    #expect(tls.certificate == TLSSettings.File(path: "/a/chain.pem"))
    #expect(tls.certificate?.place == .line(2))
    #expect(tls.key?.place == .line(3))
    #expect(tls.minimum == .tls13 && !tls.resumption)
    #expect(tls.strictTransportSecurity == .seconds(180 * 86_400))
    #expect(ConfigurationTests.check("{}").configuration.tls == TLSSettings())
  }

  @Test func theEnvironmentNamesFilesToo() {
    let check = ConfigurationTests.check(
      "{}", ["SAPPHIRE_TLS_CERTIFICATE": "/c", "SAPPHIRE_TLS_KEY": "/k", "SAPPHIRE_CA": "/x"])
    #expect(check.report == "")
    #expect(check.configuration.tls.key?.place == .variable("SAPPHIRE_TLS_KEY"))
  }

  @Test(arguments: [
    (#"{ tls: { certificate: "/c" } }"#, "s.json5:1: tls.key:"),
    (#"{ tls: { key: "/k" } }"#, "s.json5:1: tls.certificate:"),
    (#"{ tls: { minimum: "1.1" } }"#, "s.json5:1: tls.minimum:"),
    (#"{ tls: { minimum: 1.2 } }"#, "s.json5:1: tls.minimum:"),
    (#"{ tls: { certificat: "/c" } }"#, "s.json5:1: tls.certificat: unknown key; did you mean"),
    (#"{ tls: { strictTransportSecurity: true } }"#, "s.json5:1: tls.strictTransportSecurity:"),
    (#"{ tls: { certificate: "", key: "/k" } }"#, "s.json5:1: tls.certificate:"),
  ])
  func refusesWhatCannotBe(text: String, beginning: String) {
    #expect(ConfigurationTests.check(text).report.hasPrefix(beginning))
  }
}
