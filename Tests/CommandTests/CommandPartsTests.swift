import Bytes
import Client
import Config
import Platform
import Testing

@testable import CommandCore

private func arguments(_ words: [String], _ options: [Option]) throws -> Arguments {
  try Arguments(words, options: options)
}

@Suite struct ServerChoiceTests {
  @Test func theOptionComesBeforeTheVariableBeforeTheRunningServer() throws {
    var hints = Server.Hints(
      option: "http://a:1", variable: "http://b:2", file: "http://127.0.0.1:3")
    #expect(try Server(hints).url.host == "a")
    hints.option = nil
    #expect(try Server(hints).url.host == "b")
    hints.variable = nil
    #expect(try Server(hints).url.port == 3)
    #expect(try Server(hints).expectation == .running)
    hints.file = nil
    #expect(try Server(hints) == Server(Server.Hints(option: "http://127.0.0.1:8000")))
  }

  @Test func theKeyOfThisMachinesServerIsNotShownToAnotherServer() throws {
    var hints = Server.Hints(option: "http://example.org:80", keyFile: "ours")
    #expect(try Server(hints).key == nil)
    hints.option = "http://127.0.0.1:9000"
    #expect(try Server(hints).key == "ours")
    hints.option = "http://example.org:80"
    hints.namesDirectory = true
    #expect(try Server(hints).key == "ours")
    hints.keyVariable = "told"
    #expect(try Server(hints).key == "told")
  }

  @Test func theCertificateOfThisMachineIsTrustedForThisMachineOnly() throws {
    var hints = Server.Hints(option: "https://example.org", ownCertificate: [1])
    #expect(try Server(hints).trust == .system)
    hints.certificates = [2]
    #expect(try Server(hints).trust == .certificates([2]))
    hints.certificates = nil
    hints.option = "https://localhost:8000"
    #expect(try Server(hints).trust == .certificates([1]))
    hints.option = nil
    hints.file = "https://192.0.2.1:8000"
    #expect(try Server(hints).trust == .certificates([1]))
  }

  @Test(arguments: ["example.org", "ftp://example.org", "http://"])
  func whatCantBeSpokenToIsRefused(text: String) {
    #expect(throws: UsageError.self) { _ = try Server(Server.Hints(option: text)) }
  }
}

@Suite struct ObserveRequestTests {
  private func request(_ words: String...) throws -> ObserveRequest {
    try ObserveRequest(arguments(words, ObserveCommand.command.options))
  }

  private func publication(_ payload: Payload, _ envelope: String = "{}") throws -> Publication {
    Publication(
      channel: try #require(ChannelName("a")), position: nil, timeMs: 0, payload: payload,
      envelope: [UInt8](envelope.utf8))
  }

  private func line(_ request: ObserveRequest, _ publication: Publication) -> String {
    String(decoding: request.line(publication), as: UTF8.self)
  }

  @Test func aPositionBelongsToOneChannel() throws {
    #expect(try request("a", "--since", "e:4").since == Since("e:4"))
    #expect(try request("a", "b", "--since", "start").since == .start)
    #expect(throws: UsageError.self) { _ = try request("a", "b", "--since", "e:4") }
    #expect(throws: UsageError.self) { _ = try request("a", "--since", "yesterday") }
    #expect(throws: UsageError.self) { _ = try request() }
    #expect(throws: UsageError.self) { _ = try request("a b") }
  }

  @Test func aChannelNamedTwiceIsOne() throws {
    #expect(try request("a", "b", "a").channels.map(\.text) == ["a", "b"])
  }

  @Test func payloadsAreLines() throws {
    let plain = try request("a")
    #expect(line(plain, try publication(Payload(text: "x y"))) == "x y\n")
    #expect(line(plain, try publication(Payload(json: "{\n\"a\":\n1}"))) == "{\"a\":1}\n")
    #expect(line(plain, try publication(Payload(.binary, [0, 1]))) == "base64:AAE=\n")
    #expect(line(try request("a", "b"), try publication(Payload(text: "x"))) == "a\tx\n")
  }

  @Test func envelopesAreWhatCameOnOneLine() throws {
    let asJSON = try request("a", "--json")
    let payload = Payload(text: "x")
    #expect(line(asJSON, try publication(payload, "{\"offset\": 1}")) == "{\"offset\": 1}\n")
    #expect(line(asJSON, try publication(payload, "{\"data\":\n1}")) == "{\"data\":1}\n")
  }
}

@Suite struct PublishRetriesTests {
  private let start = Instant(nanoseconds: 1)
  private let lost = ServerAPI.Failure.transport(.lost(reason: "x"))
  private let unreachable = ServerAPI.Failure.transport(.unreachable(reason: "x"))

  @Test func aServerThatWasNeverThereIsReportedAtOnce() {
    var retries = PublishRetries(now: start, server: .unknown)
    #expect(retries.delay(after: unreachable, now: start) == nil)
  }

  @Test func aServerOfThisMachineMayBeStartingAgain() {
    var retries = PublishRetries(now: start, server: .running)
    #expect(retries.delay(after: unreachable, now: start) != nil)
    #expect(retries.delay(after: unreachable, now: start + .seconds(4)) == nil)
  }

  @Test func aServerThatWasLostOnTheWayIsExpectedBack() {
    var retries = PublishRetries(now: start, server: .unknown)
    #expect(retries.delay(after: lost, now: start) != nil)
    #expect(retries.delay(after: unreachable, now: start + .seconds(5)) != nil)
    #expect(retries.delay(after: unreachable, now: start + .seconds(10)) == nil)
  }

  @Test func aRefusalIsNotTriedAgain() {
    var retries = PublishRetries(now: start, server: .running)
    let refused = ServerAPI.Failure.refused(ServerRefusal(code: "bad_request", message: ""))
    #expect(retries.delay(after: refused, now: start) == nil)
    #expect(retries.delay(after: .notPermitted(""), now: start) == nil)
  }
}

@Suite struct ClosedDoorsTests {
  @Test func onLoopbackNothingIsSaid() {
    let address = SocketAddress.tcp(host: "127.0.0.1", port: 8000)
    #expect(UpCommand.closedDoors(address, Configuration()).isEmpty)
  }

  @Test func onOtherAddressesItSaysWhatIsClosed() {
    let address = SocketAddress.tcp(host: "0.0.0.0", port: 8000)
    let lines = UpCommand.closedDoors(address, Configuration())
    #expect(lines.count == 4)
    #expect(lines.first?.contains("0.0.0.0:8000") == true)
    #expect(lines.last == "- /ws/echo is off")
  }
}

@Suite struct MeasurementsTests {
  @Test func percentilesAreTheValuesThatSoManyDoNotExceed() {
    var measurements = Measurements()
    for ms in 1...100 { measurements.add(.milliseconds(ms)) }
    #expect(measurements.percentiles([0, 0.5, 0.99, 1]) == [1000, 50_000, 99_000, 100_000])
    #expect(Measurements().percentiles([0.5]) == [nil])
    #expect(measurements.summary.hasPrefix("p50 50.00 ms  p90 90.00 ms"))
  }

  @Test func aLongRunIsThinnedOutAndKeepsItsShape() {
    var measurements = Measurements()
    for index in 0..<(Measurements.samplesMax * 3) {
      measurements.add(.microseconds(index % 1000))
    }
    #expect(measurements.count == Measurements.samplesMax * 3)
    let median = measurements.percentiles([0.5])[0] ?? 0
    #expect((480...520).contains(median))
  }
}

@Suite struct BenchPlanTests {
  @Test func numbersOutsideTheirRangeAreRefused() throws {
    let options = BenchCommand.command.options
    let plan = try BenchCommand.Plan(arguments(["--clients", "7"], options), freshName: "bench:x")
    #expect(plan.clients == 7)
    #expect(plan.channel.text == "bench:x")
    #expect(throws: UsageError.self) {
      _ = try BenchCommand.Plan(arguments(["--bytes", "3"], options), freshName: "b")
    }
  }
}

@Suite struct SignInTests {
  @Test(arguments: [
    ("a.b.c", "a.b.c"), (" \n eyJ-_.x9.Y\r\n", "eyJ-_.x9.Y"), ("", nil), ("\n", nil), ("a.b", nil), ("a.b.c.d", nil),
    ("a.b c.d", nil), ("a.b.c\nd.e.f", nil), ("a.b.ü", nil), (String(repeating: "a", count: 8_192) + ".b.c", nil),
  ] as [(String, String?)])
  func aTokenHasThreePartsAndBlanksOnlyAroundIt(text: String, token: String?) {
    #expect(SignIn.token(text) == token)
  }

  @Test func theFileComesBeforeTheVariableAndIsReadAgain() throws {
    let folder = try TemporaryDirectory()
    let path = folder("token").description
    #expect(try SignIn(file: nil, variable: nil) == nil)
    #expect(try SignIn(file: nil, variable: "a.b.c")?.source() == "a.b.c")
    try Files.replace(FilePath(path), with: [UInt8]("d.e.f\n".utf8))
    let signIn = try #require(try SignIn(file: path, variable: "a.b.c"))
    #expect(signIn.token == "d.e.f" && signIn.source() == "d.e.f")
    try Files.replace(FilePath(path), with: [UInt8]("g.h.i\n".utf8))
    #expect(signIn.source() == "g.h.i")
    // Half a file is none; the token that was there is still worth a try.
    try Files.replace(FilePath(path), with: [UInt8]("g.h".utf8))
    #expect(signIn.source() == "d.e.f")
  }

  @Test func whatIsNoTokenIsRefusedAndNotRepeated() throws {
    let folder = try TemporaryDirectory()
    let path = folder("token").description
    try Files.replace(FilePath(path), with: [UInt8]("PgXsecret".utf8))
    for (file, variable) in [(path, nil), (nil, "PgXsecret"), (folder("none").description, nil)] as [(String?, String?)] {
      let error = #expect(throws: UsageError.self) { try SignIn(file: file, variable: variable) }
      #expect(error?.message.contains("PgX") == false)
    }
  }
}
