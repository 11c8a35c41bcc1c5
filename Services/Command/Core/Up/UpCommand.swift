internal import Bytes
internal import Config
internal import Crypto
internal import Platform

/// `sapphire up`: all services of one machine, until a signal.
enum UpCommand {
  static let command = Command(
    name: "up", summary: "starts hub, event store, presence and gateway on this machine",
    usage: "[--listen HOST:PORT] [--data DIR] [--config FILE] [--tls]",
    details: """
      Starts the four services beside this program as processes of their own, starts again
      what dies, and prints `ready http://HOST:PORT` once everything works. Ctrl-C (SIGINT)
      or SIGTERM drains (gateway, then presence and hub, then event store) and exits 0 within
      25 s; a second signal, a second or more later, ends at once. SIGHUP lets the services
      check their configuration again; only API keys take effect without a start.

      State lies in DIR: SAPPHIRE_DATA, else /var/lib/sapphire for root and
      ~/.local/state/sapphire for others. DIR/api.key is the key of the HTTP API, made on the
      first start; api.keyFile of the configuration names another file. DIR/run has a pid file
      and a socket per service, and `url`.

      With --tls it speaks https and wss. Without a certificate in the configuration it makes one
      for localhost, 127.0.0.1, ::1 and this machine's name, which browsers warn of until
      DIR/tls/certificate.pem is trusted; `curl --cacert` and `sapphire --ca` take it.

      On a loopback address everyone on this machine may publish and subscribe. On any other
      address only what the configuration opens is open.

      Examples:
        sapphire up
        sapphire up --listen 0.0.0.0:8000 --config sapphire.json5
        sapphire up --listen 127.0.0.1:0 --data ./state
        sapphire up --tls
      """,
    options: [
      .value(
        "--listen", "HOST:PORT", "where the gateway listens; port 0 picks one (\(defaultListen))"),
      .value("--data", "DIR", "where state lies"),
      .value("--config", "FILE", "the JSON5 configuration of all services"),
      .flag("--tls", "speaks https and wss, with a certificate of its own if need be"),
    ], run: run)

  static let defaultListen = "127.0.0.1:8000"

  private static func run(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    SignalReader.blockAll()
    do {
      let file = try configuration(arguments)
      let settings = try CheckedSettings(
        file: file, environment: Processes.environment(), context)
      let address = try listenAddress(arguments, settings)
      let data = try context.dataDirectory(arguments)
      if let fault = data.socketPathFault { throw Refusal(code: .configuration, message: fault) }
      var plan = ServicePlan(
        programs: try programs(), data: data, configuration: file,
        environment: childEnvironment())
      try makeDirectories(data)
      guard let lock = try Files.lock(data.lock, within: .seconds(1)) else {
        throw alreadyRunning(data)
      }
      defer { withExtendedLifetime(lock) {} }
      awaitEarlierServices(data)
      plan.namesKeyFile = try prepareKey(data, settings.configuration.api.keyFile)
      if arguments.has("--tls"), settings.configuration.tls.certificate == nil {
        plan.environment += try localCertificate(data, context.console)
      }
      try checkPort(address)
      for line in closedDoors(address, settings.configuration) { context.console.report(line) }
      return try Supervisor(plan, publicAddress: address, console: context.console).run()
    } catch let refusal as Refusal {
      context.console.report(refusal.message)
      return refusal.code
    } catch let error as UsageError {
      return context.refuse(error, "up")
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }

  // MARK: what is checked before anything starts

  /// Where the gateway listens: the option, else the configuration with what overrides it.
  private static func listenAddress(_ arguments: Arguments, _ settings: CheckedSettings)
    throws(UsageError) -> SocketAddress
  {
    guard arguments.operands.isEmpty else {
      throw UsageError("up takes no operand `\(arguments.operands[0])`")
    }
    let configured = settings.configuration.gateway.listen.first?.description
    let text = arguments["--listen"] ?? configured ?? defaultListen
    guard let address = SocketAddress(text), case .tcp = address else {
      throw UsageError("--listen needs HOST:PORT, such as \(defaultListen), not `\(text)`")
    }
    return address
  }

  /// The directory of this program, in which all services have to be.
  private static func programs() throws -> FilePath {
    let directory = try Processes.executable().parent
    for service in SupervisedService.allCases {
      let program = directory.appending(service.executableName)
      guard Files.isExecutable(program) else {
        throw Refusal(
          code: .failure,
          message: "\(program) is missing or can't be run; the services have to lie beside sapphire"
        )
      }
    }
    return directory
  }

  /// The configuration's absolute path: the services may have other working directories one day.
  private static func configuration(_ arguments: Arguments) throws(SystemError) -> String? {
    guard let name = arguments["--config"] else { return nil }
    return name.hasPrefix("/") ? name : "\(try Files.workingDirectory())/\(name)"
  }

  /// A crashing service must be gone at once to be started again: the backtracer of the Swift
  /// runtime would hold it. Whoever wants backtraces sets SWIFT_BACKTRACE.
  private static func childEnvironment() -> [String] {
    let environment = Processes.environment()
    guard !environment.contains(where: { $0.hasPrefix("SWIFT_BACKTRACE=") }) else {
      return environment
    }
    return environment + ["SWIFT_BACKTRACE=enable=no"]
  }

  private static func makeDirectories(_ data: DataDirectory) throws(SystemError) {
    try Files.makeDirectories(FilePath(data.path))
    try Files.makeDirectories(data.run)
    try Files.setMode(data.run, 0o700)
    try Files.makeDirectories(FilePath(data.eventStore))
  }

  private static func alreadyRunning(_ data: DataDirectory) -> Refusal {
    let url = (try? Files.read(data.url, bytesMax: 1024)).map {
      String(decoding: $0, as: UTF8.self)
    }
    let place = url.map { " at \($0.prefix { !$0.isNewline })" } ?? ""
    return Refusal(
      code: .failure,
      message: "another `sapphire up` runs on \(data.path)\(place); end it or choose another --data"
    )
  }

  /// A killed `up` takes its services with it, but they may outlive its lock by a moment.
  private static func awaitEarlierServices(_ data: DataDirectory) {
    for service in SupervisedService.allCases {
      let file = data.pid(of: service)
      guard let text = try? Files.read(file, bytesMax: 64),
        let number = Int32(String(decoding: text.filter { $0 > 32 }, as: UTF8.self))
      else { continue }
      let deadline = SystemClock.monotonic() + .seconds(2)
      while isAlive(number, service), SystemClock.monotonic() < deadline {
        SystemClock.pause(.milliseconds(10))
      }
      try? Files.remove(file)
    }
    try? Files.remove(data.url)
  }

  private static func isAlive(_ number: Int32, _ service: SupervisedService) -> Bool {
    guard let program = try? Files.target(ofLink: FilePath("/proc/\(number)/exe")) else {
      return false
    }
    return program.lastComponent == [UInt8](service.executableName.utf8)
  }

  /// Makes the file of API keys where there is none, and notes where it is, so that other commands
  /// find it. Whether the configuration names it.
  private static func prepareKey(_ data: DataDirectory, _ configured: String?) throws(SystemError)
    -> Bool
  {
    guard let configured else {
      try makeKey(data.key)
      try? Files.remove(data.keyPlace)
      return false
    }
    let path = configured.hasPrefix("/") ? configured : "\(try Files.workingDirectory())/\(configured)"
    try makeKey(FilePath(path))
    try Files.replace(
      data.keyPlace, with: [UInt8]("\(path)\n".utf8), mode: 0o600, durability: .synced)
    return true
  }

  private static func makeKey(_ path: FilePath) throws(SystemError) {
    do throws(SystemError) {
      _ = try Files.status(path)
    } catch {
      guard error.isNotFound else { throw error }
      let key = base64URL(SystemRandom.bytes(32))
      try Files.replace(path, with: [UInt8]("\(key)\n".utf8), mode: 0o600, durability: .synced)
    }
  }

  /// Makes the certificate of this machine and gives the variables by which the gateway finds it.
  private static func localCertificate(_ data: DataDirectory, _ console: Console) throws -> [String] {
    if try LocalCertificate.prepare(data, at: SystemClock.wallMilliseconds() / 1_000) {
      console.report("made a certificate for this machine: \(data.certificate)")
    }
    return [
      "SAPPHIRE_TLS_CERTIFICATE=\(data.certificate)", "SAPPHIRE_TLS_KEY=\(data.certificateKey)",
    ]
  }

  /// Says at once that the port is taken, instead of starting a gateway over and over.
  private static func checkPort(_ address: SocketAddress) throws {
    do throws(SystemError) {
      _ = try Sockets.listen(on: address)
    } catch {
      let remedy =
        error.isAddressInUse
        ? "; another program listens there. Choose another port with --listen, or 0 for any" : ""
      throw Refusal(code: .unavailable, message: "can't listen: \(error)\(remedy)")
    }
  }

  /// What is closed on an address that other machines reach; nothing on loopback.
  static func closedDoors(_ address: SocketAddress, _ configuration: Configuration) -> [String] {
    guard !address.isLoopback, let endpoint = try? Endpoint(address.description) else { return [] }
    let gateway = configuration.gateway
    let anonymous =
      gateway.allowsAnonymous(on: endpoint)
      ? "anonymous clients may do what no rule forbids, since gateway.anonymous is on"
      : "anonymous clients may do only what a rule of the configuration opens to them"
    let origins =
      gateway.origins.isEmpty
      ? "browsers are let in from this server's own origin only"
      : "browsers are let in from this server's own origin and \(gateway.origins.count) listed ones"
    let echo =
      configuration.diagnostics.echoIsOn(listening: [endpoint])
      ? "/ws/echo is on, since diagnostics.echo is" : "/ws/echo is off"
    return ["\(address.authority) can be reached from other machines, therefore:"]
      + [anonymous, origins, echo].map { "- \($0)" }
  }
}
