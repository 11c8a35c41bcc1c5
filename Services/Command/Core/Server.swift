internal import Client
internal import Config
internal import JSON
internal import Loop
internal import Platform

/// The server that a command talks to, and the key it shows.
struct Server: Equatable {
  var url: ServerURL
  var key: String?
  var trust = ClientTrust.system
  var expectation = Expectation.unknown

  /// Whether the data directory says that it runs.
  enum Expectation: Equatable { case running, unknown }

  static let options: [Option] = [
    .value("--url", "URL", "the server, such as http://127.0.0.1:8000 (or SAPPHIRE_URL)"),
    .value("--data", "DIR", "the data directory of a server on this machine"),
    .value("--ca", "FILE", "certificates to trust for https, in PEM (or SAPPHIRE_CA)"),
  ]

  static let defaultURL = ServerURL(scheme: "http", host: "127.0.0.1", port: 8000)

  /// What is known of the server before it is asked.
  struct Hints {
    var option: String?
    var variable: String?
    /// What DIR/run/url says; nil where no server runs there.
    var file: String?
    var keyVariable: String?
    /// What the file of API keys says, DIR/api.key as a rule.
    var keyFile: String?
    /// The certificates of --ca or SAPPHIRE_CA.
    var certificates: [UInt8]?
    /// What `sapphire up --tls` has made in the data directory.
    var ownCertificate: [UInt8]?
    /// Whether --data was given: its key is meant for the server, wherever that is.
    var namesDirectory = false
  }

  init(_ hints: Hints) throws(UsageError) {
    let told = hints.option ?? hints.variable
    let text = told ?? hints.file ?? Self.defaultURL.description
    guard let url = ServerURL(text) else {
      throw UsageError("`\(text)` is no server; write http://HOST:PORT or https://HOST:PORT")
    }
    self.url = url
    if told == nil, hints.file != nil { expectation = .running }
    // The key of this machine's server is not shown to a server elsewhere.
    let isOurs = told == nil || url.address.isLoopback || hints.namesDirectory
    key = hints.keyVariable ?? (isOurs ? hints.keyFile : nil)
    if let certificates = hints.certificates ?? (isOurs ? hints.ownCertificate : nil) {
      trust = .certificates(certificates)
    }
  }
}

extension CommandContext {
  /// Finds the server by option, environment and data directory.
  func server(_ arguments: Arguments) throws(UsageError) -> Server {
    var hints = Server.Hints(
      option: arguments["--url"], variable: variable("SAPPHIRE_URL"),
      keyVariable: variable("SAPPHIRE_API_KEY"), namesDirectory: arguments.has("--data"))
    let data: DataDirectory?
    do throws(UsageError) {
      data = try dataDirectory(arguments)
    } catch {
      guard hints.option != nil || hints.variable != nil else { throw error }
      data = nil
    }
    if let data {
      hints.file = firstLine(data.url)
      hints.keyFile = firstLine(data.keyFile)
      hints.ownCertificate = try? Files.read(data.certificate, bytesMax: Self.certificatesMax)
    }
    hints.certificates = try certificates(arguments)
    return try Server(hints)
  }

  /// A file of certificates larger than this is some other file.
  private static let certificatesMax = 4 << 20

  private func certificates(_ arguments: Arguments) throws(UsageError) -> [UInt8]? {
    guard let path = arguments["--ca"] ?? variable("SAPPHIRE_CA") else { return nil }
    let pem: [UInt8]
    do throws(SystemError) {
      pem = try Files.read(FilePath(path), bytesMax: Self.certificatesMax)
    } catch { throw UsageError("--ca \(path) can't be read: \(error.reason)") }
    if let fault = ClientTrust.fault(inCertificates: pem) {
      throw UsageError("--ca \(path): \(fault)")
    }
    return pem
  }

  /// An environment variable; an empty one is as good as none.
  private func variable(_ name: String) -> String? {
    environment(name).flatMap { $0.isEmpty ? nil : $0 }
  }

  private func firstLine(_ path: FilePath) -> String? {
    guard let bytes = try? Files.read(path, bytesMax: APIKeyFile.bytesMax) else { return nil }
    let line = String(decoding: bytes.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
    // A key file may begin with a key of which only the digest is kept.
    return line.isEmpty || line.hasPrefix("sha256:") || line.hasPrefix("#") ? nil : line
  }
}

/// Calls of the HTTP API that the program waits for, on a loop of its own.
final class ServerCalls {
  private let loop: EventLoop
  private let client: HTTPClient
  private let server: Server
  private let console: Console
  /// Twice the time that a server gives a request by default (limits.requestTimeout): who has not
  /// answered by then is frozen or out of reach.
  static let answerWithin = Duration.seconds(10)
  /// After this long without an answer it is said that one is waited for.
  static let silenceSaidAfter = Duration.seconds(3)

  init(_ server: Server, _ console: Console) throws(SystemError) {
    self.server = server
    self.console = console
    loop = try EventLoop()
    client = HTTPClient(server.url, key: server.key, trust: server.trust, on: loop)
  }

  /// Sends one request and waits for its answer.
  func send(_ request: HTTPRequest, within: Duration = answerWithin)
    -> Result<HTTPResponse, HTTPFailure>
  {
    var answer: Result<HTTPResponse, HTTPFailure>?
    client.send(request, within: within) { answer = $0 }
    // A server that is stopped looks like this: whoever waits should not have to guess.
    // A content on its way is no silence.
    let isCall = within <= Self.answerWithin
    let notice = loop.after(isCall ? Self.silenceSaidAfter : within) { [console, server] in
      let seconds = within.components.seconds
      console.report("\(server.url) has not answered yet; waiting for up to \(seconds) s")
    }
    defer { loop.cancel(notice) }
    while true {
      if let answer { return answer }
      loop.turn()
    }
  }

  /// Waits.
  func pause(for delay: Duration) {
    var isOver = false
    loop.after(delay) { isOver = true }
    while !isOver { loop.turn() }
  }

  /// The `result` of one API call.
  func result(_ request: HTTPRequest) throws(ServerAPI.Failure) -> JSONValue {
    try ServerAPI.result(send(request))
  }
}

extension CommandContext {
  /// Says why a call failed and what may help, and gives the exit code.
  func report(_ failure: ServerAPI.Failure, _ server: Server) -> ExitCode {
    console.report("\(server.url): \(failure)")
    switch failure {
    case .transport(.unreachable):
      console.report("is it running? `sapphire up` starts it; --url or SAPPHIRE_URL name another")
      return .unavailable
    case .transport(.malformed), .transport(.unsendable): return .failure
    case .transport(.lost) where server.url.isSecure:
      console.report("if it is the certificate: --ca FILE or SAPPHIRE_CA names one to trust")
      return .unavailable
    case .transport, .notNow: return .unavailable
    case .notPermitted:
      let help =
        server.key == nil
        ? "no key was shown: set SAPPHIRE_API_KEY, or --data DIR of the server's own directory"
        : "the key that was shown is not the server's, or lacks this right"
      console.report(help)
      return .notPermitted
    case .refused(let refusal): return refusal.isAboutPermission ? .notPermitted : .failure
    case .unexpected(let status, _): return status >= 500 ? .unavailable : .failure
    }
  }
}
