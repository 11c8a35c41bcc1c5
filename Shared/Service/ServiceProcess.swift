public import Config
public import Link
internal import Loop
public import Observe
public import Platform
public import Wire

/// How a process of ours ends (`sysexits.h` where one fits).
public enum ExitCode {
  public static let ok: Int32 = 0
  public static let failure: Int32 = 1
  public static let usage: Int32 = 64
  public static let unavailable: Int32 = 69
  public static let internalError: Int32 = 70
  public static let cannotListen: Int32 = 73
  public static let ioError: Int32 = 74
  public static let configuration: Int32 = 78
}

/// An error that says with which code the process ends.
public protocol ExitCoded: Error {
  var exitCode: Int32 { get }
}

/// What a service is called and may be told on its command line.
public struct ServiceDescription: Sendable {
  public var role: Role
  /// One paragraph for `--help`.
  public var summary: String
  public var options: [OptionSpec]
  /// Lines for `--help` that show how it is used.
  public var examples: [String]
  /// The libraries in use besides what links need, each with its version, such as `SQLite 3.40.1`.
  public var libraries: [String]
  /// The channel types compiled in, where the service needs to know them.
  public var channelTypes: [String] = []
  /// The plugins that answer calls, likewise.
  public var callHandlers: [String] = []
  /// What the channel types say of rules, likewise.
  public var channelFault: ChannelTypeCheck?
  public init(
    role: Role, summary: String, options: [OptionSpec], examples: [String], libraries: [String] = []
  ) {
    self.libraries = libraries
    self.role = role
    self.summary = summary
    self.options = options
    self.examples = examples
  }
  public var name: String { role.name }
  /// The program and its version.
  var software: String { "sapphire-\(name) \(ServiceProcess.version)" }
  var allLibraries: [String] { Link.libraries + libraries }
}

/// What the threads of a service tell the process.
public enum ServiceEvent: Sendable {
  /// A line for standard output, such as `ready unix:/run/hub.sock`.
  case announce(String)
  /// The service has ended, or can't go on.
  case finished(code: Int32, message: String?)
}

/// What a service gets from the process it runs in. May be used from any thread.
public struct ServiceContext: Sendable {
  public let options: CommandLineOptions
  public let settings: Configuration
  public let logger: Logger
  public let metrics: Metrics
  public let identity: LinkIdentity
  public let report: @Sendable (ServiceEvent) -> Void

  /// Where this service listens: `--listen`, else the configuration.
  public func listenAddress(_ service: ServiceName) throws -> SocketAddress {
    if let text = options["listen"] {
      let found = try address("listen", text)
      return service == .gateway ? found : try keyed(found, "--listen")
    }
    guard let first = try settings.listen(of: service, runDirectory: runDirectory).first else {
      throw UsageError("--listen is needed: unix:PATH or tcp:HOST:PORT")
    }
    return service == .gateway ? SocketAddress(first) : try keyed(SocketAddress(first), "--listen")
  }

  /// Where another service is found: its option, else the configuration.
  public func linkAddress(_ service: ServiceName) throws -> SocketAddress {
    let option = "--\(service.rawValue)"
    if let text = options[service.rawValue] {
      return try keyed(try address(service.rawValue, text), option)
    }
    return try keyed(
      SocketAddress(try settings.link(to: service, runDirectory: runDirectory)), option)
  }

  /// Over TCP nobody is known by the socket's directory: both ends prove that they know a key.
  private func keyed(_ address: SocketAddress, _ option: String) throws -> SocketAddress {
    guard case .tcp = address, identity.key == nil else { return address }
    throw UsageError(
      "\(option) \(address): a link over TCP needs a secret that both ends know: --link-key-file FILE, "
        + "or links.keyFile in the configuration")
  }

  private var runDirectory: String { options["run"] ?? "/run/sapphire" }

  private func address(_ option: String, _ text: String) throws -> SocketAddress {
    do throws(Endpoint.Refusal) {
      return SocketAddress(try Endpoint(text))
    } catch {
      throw UsageError("--\(option) \"\(text)\": \(error)")
    }
  }
}

extension SocketAddress {
  public init(_ endpoint: Endpoint) {
    switch endpoint {
    case .unix(let path): self = .unix(path: path)
    case .tcp(let host, let port): self = .tcp(host: host, port: port)
    }
  }
}

/// A service that is running on threads of its own.
public protocol RunningService: Sendable {
  /// Stop taking new work, finish what was accepted, then report `finished`. Any thread.
  func drain()
  /// The configuration was read again and is sound, whether it has changed or not. Any thread.
  ///
  /// Returns the names of settings that could not be taken over and are as they were.
  func reload(_ settings: Configuration) -> Set<String>
}

extension RunningService {
  public func reload(_ settings: Configuration) -> Set<String> { [] }
}

/// The main thread of a service: reads the command line and the configuration, starts the service,
/// then waits for signals and for the service's end.
public enum ServiceProcess {
  public static let version = "0.1.0"

  /// Runs to the end of the process.
  public static func run(
    _ description: ServiceDescription, start: (ServiceContext) throws -> any RunningService
  ) -> Never {
    let runner = ServiceRunner(description)
    Processes.exit(runner.run(start))
  }
}

/// What `ServiceProcess.run` does, step by step.
final class ServiceRunner {
  private let description: ServiceDescription
  private var exitCode: Int32?
  private var drains = 0
  private var service: (any RunningService)?
  /// The settings that the service was started with, and those that it took over last.
  private var started = Configuration()
  private var latest = Configuration()

  /// A drain that takes longer than this is cut off.
  private var drainMax = Config.Limits().drainTimeout

  init(_ description: ServiceDescription) { self.description = description }

  static let common: [OptionSpec] = [
    OptionSpec("listen", "ADDRESS", "where to listen: unix:PATH or tcp:HOST:PORT"),
    OptionSpec("config", "FILE", "the configuration, JSON5; one file may serve all services"),
    OptionSpec("data", "DIR", "where this service keeps its data"),
    OptionSpec("run", "DIR", "where the services' sockets are; /run/sapphire by default"),
    OptionSpec("link-key-file", "FILE", "the secret of links over TCP, at least 32 bytes"),
    OptionSpec("log-level", "LEVEL", "debug, info, warning or error; or SUBSYSTEM=LEVEL,…"),
    OptionSpec("log-format", "FORMAT", "human or json"),
    OptionSpec(flag: "help", "this text"),
    OptionSpec(flag: "version", "the version, and those of the libraries"),
  ]

  func run(_ start: (ServiceContext) throws -> any RunningService) -> Int32 {
    Syscalls.openStandardDescriptors()
    SignalReader.blockAll()
    Syscalls.raiseDescriptorLimit()
    let specs = description.options + Self.common
    let options: CommandLineOptions
    do throws(UsageError) {
      options = try CommandLineOptions(
        Array(CommandLine.arguments.dropFirst()), specs: specs)
    } catch { return complain(error.description, ExitCode.usage) }
    if options.has("help") { return say(help(specs)) }
    if options.has("version") {
      return say(([description.software] + description.allLibraries).map { "\($0)\n" }.joined())
    }
    do {
      return try serve(options, start)
    } catch let error as UsageError {
      return complain(error.description, ExitCode.usage)
    } catch let error as ConfigurationRefused {
      return complain(error.description, ExitCode.configuration)
    } catch let error as any ExitCoded & CustomStringConvertible {
      return complain(error.description, error.exitCode)
    } catch let error as SystemError {
      return complain(error.description, ExitCode.cannotListen)
    } catch {
      return complain("\(error)", ExitCode.failure)
    }
  }

  private func serve(
    _ options: CommandLineOptions, _ start: (ServiceContext) throws -> any RunningService
  ) throws -> Int32 {
    let settings = try SettingsFile.load(
      options["config"], environment: Self.environment(), channelTypes: description.channelTypes,
      callHandlers: description.callHandlers, channelFault: description.channelFault)
    drainMax = settings.limits.drainTimeout
    started = settings
    latest = settings
    let logger = try makeLogger(options, settings)
    logger.info(
      "starting",
      [
        "version": .text(ServiceProcess.version),
        "libraries": .text(description.allLibraries.joined(separator: ", ")),
      ])
    let events = try Mailbox<ServiceEvent>()
    let loop = try EventLoop()
    let signals = try SignalSource(on: loop) { [weak self] signal in
      if signal == .reload { self?.reload(options, logger) }
      self?.received(signal, loop, logger)
    }
    let reader = try MailboxReader(events, on: loop) { [weak self] in
      for event in $0 { self?.handle(event, loop) }
    }
    let context = ServiceContext(
      options: options, settings: settings, logger: logger,
      metrics: Metrics(labels: ["service": description.name]),
      identity: try makeIdentity(options, settings), report: { events.post($0) })
    service = try start(context)
    loop.run()
    reader.close()
    signals.close()
    return exitCode ?? ExitCode.internalError
  }

  private func received(_ signal: ServiceSignal, _ loop: EventLoop, _ logger: Logger) {
    switch signal {
    case .terminate:
      drains += 1
      guard drains == 1 else {
        exitCode = 130
        loop.stop()
        return
      }
      logger.info("draining")
      service?.drain()
      loop.after(drainMax) { [weak self] in
        logger.error("the drain took too long and was cut off")
        self?.exitCode = ExitCode.failure
        loop.stop()
      }
    case .reload, .childChanged: break
    }
  }

  /// A file that is refused changes nothing: the service goes on as it was. Of one that is good it
  /// is said which settings are in force, so that nobody waits for one that needs a start.
  private func reload(_ options: CommandLineOptions, _ logger: Logger) {
    let settings: Configuration
    do {
      settings = try SettingsFile.load(
        options["config"], environment: Self.environment(), channelTypes: description.channelTypes,
        callHandlers: description.callHandlers, channelFault: description.channelFault)
    } catch {
      return logger.error(
        "the configuration can't be used; the old one stays in force", ["reason": .text("\(error)")]
      )
    }
    // A level on the command line stays above what the file says.
    if options["log-level"] == nil, let levels = LogLevels(text: settings.log.levels) {
      logger.levels.set(levels)
    }
    drainMax = settings.limits.drainTimeout
    var changes = ServiceName(rawValue: description.name).map {
      settings.changes(for: $0, since: latest, started: started)
    }
    let left = service?.reload(settings) ?? []
    changes?.leave(left)
    var taken = settings
    if left.contains("channels") { taken.channels = latest.channels }
    latest = taken
    let summary = changes?.summary ?? ""
    logger.info(
      "the configuration was read again\(summary.isEmpty ? " and is the same" : "; \(summary)")")
  }

  private func handle(_ event: ServiceEvent, _ loop: EventLoop) {
    switch event {
    case .announce(let line): _ = say(line + "\n")
    case .finished(let code, let message):
      if let message { _ = complain(message, code) }
      if exitCode == nil { exitCode = code }
      loop.stop()
    }
  }

  private func makeLogger(_ options: CommandLineOptions, _ settings: Configuration) throws -> Logger
  {
    let levels = try options["log-level"].map { text throws in
      guard let levels = LogLevels(text: text) else {
        throw UsageError("--log-level \"\(text)\": write debug, info, warning or error")
      }
      return levels
    }
    let format = try options["log-format"].map { text throws in
      guard let format = LogFormat(rawValue: text) else {
        throw UsageError("--log-format \"\(text)\": write human or json")
      }
      return format
    }
    return Logger(
      subsystem: description.name,
      levels: levels ?? LogLevels(text: settings.log.levels) ?? LogLevels(.info),
      format: format ?? LogFormat(rawValue: settings.log.format.rawValue) ?? .human,
      sink: try StderrSink(), nowMs: { SystemClock.wallMilliseconds() })
  }

  private func makeIdentity(_ options: CommandLineOptions, _ settings: Configuration) throws
    -> LinkIdentity
  {
    var key: [UInt8]?
    if let path = options["link-key-file"] ?? settings.links.keyFile {
      let bytes: [UInt8]
      do throws(SystemError) { bytes = try Files.read(FilePath(path), bytesMax: 4096) } catch {
        throw ConfigurationRefused(description: "the link key can't be read: \(error)")
      }
      guard bytes.count >= 32 else {
        throw UsageError("the link key in \(path) has fewer than 32 bytes")
      }
      key = bytes
    }
    var identity = LinkIdentity(
      role: description.role, instance: .random(in: 1...(.max)),
      incarnation: UInt64(clamping: SystemClock.wallMilliseconds()),
      software: "sapphire \(ServiceProcess.version)", key: key)
    for name in settings.links.users {
      guard let user = Syscalls.userID(named: name) else {
        throw ConfigurationRefused(description: "links.users: there is no user \(name) here")
      }
      identity.friendlyUsers.insert(user)
    }
    return identity
  }

  private func help(_ specs: [OptionSpec]) -> String {
    var text = "sapphire-\(description.name): \(description.summary)\n\nOptions:\n"
    for spec in specs {
      let left = "  --\(spec.name)\(spec.isFlag ? "" : " \(spec.placeholder)")"
      let padding = String(repeating: " ", count: max(1, 30 - left.count))
      text += "\(left)\(padding)\(spec.help)\n"
    }
    text += "\nSettings may come from the environment as well, such as "
    text += "SAPPHIRE_\(description.name.uppercased())_LISTEN; see docs/CONFIGURATION.md.\n"
    if !description.examples.isEmpty {
      text += "\nExamples:\n" + description.examples.map { "  \($0)\n" }.joined()
    }
    text += "\nExit codes: 0 ended as asked, 64 wrong usage, 73 can't listen, 74 storage failed,\n"
    text += "78 wrong configuration, 130 ended by a second signal (a second or more after the first).\n"
    return text + "docs/OPERATIONS.md has all of them, and what to do about each.\n"
  }

  private static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    for entry in Processes.environment() {
      guard let equals = entry.firstIndex(of: "=") else { continue }
      variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
    }
    return variables
  }

  private func say(_ text: String) -> Int32 {
    Output.standardOutput(text)
    return ExitCode.ok
  }

  private func complain(_ text: String, _ code: Int32) -> Int32 {
    Output.standardError("sapphire-\(description.name): \(text)\n")
    return code
  }
}
