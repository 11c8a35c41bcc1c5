public import Platform
internal import Synchronization

/// Our executables.
public enum ServiceKind: String, CaseIterable, Sendable {
  case hub, eventstore, presence, gateway

  public var executable: String { "sapphire-\(rawValue)" }
  /// The variable that names another build of it, such as `SAPPHIRE_BUILD_HUB=/old/sapphire-hub`.
  var variable: String { "SAPPHIRE_BUILD_\(rawValue.uppercased())" }
}

/// What a test finds wrong with the services it runs; ends the test.
public struct ClusterFailure: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// Real executables in a directory of their own, over Unix sockets, for the length of one test.
///
/// Builds nothing. Each service's build is `SAPPHIRE_BUILD_<SERVICE>`, else the file of its name
/// in `SAPPHIRE_BIN`, else the one that was built beside the tests. Readiness is a line that the
/// service prints; nothing here sleeps for it. Whatever happens, what was started is killed by
/// its number. `KEEP_RUN=1` keeps the directory, with what the services said. Test only; one
/// thread.
public final class ServiceCluster {
  /// Everything of this run: sockets, data, configuration.
  public let directory: FilePath
  public var options: Options
  private var services: [ServiceKind: RunningChild] = [:]
  private var said: [ServiceKind: [String]] = [:]
  private var proxies: [ServiceKind: FaultProxy] = [:]
  private var extras: [ExtraGateway] = []

  public struct Options: Sendable {
    /// The configuration file's text, JSON5; none for the defaults.
    public var configuration: String?
    /// The API key; the gateway has none without it.
    public var key: String? = "test-key-test-key-test-key"
    /// Arguments for one service besides.
    public var arguments: [ServiceKind: [String]] = [:]
    /// The gateway's public address.
    public var listen = "127.0.0.1:0"
    /// Services that others reach through a `FaultProxy` only.
    public var proxied: Set<ServiceKind> = []
    /// Builds that this test runs in place of those the environment names.
    public var builds: [ServiceKind: FilePath] = [:]
    /// A program that starts the service, with its arguments: `prlimit --nofile=64`.
    public var wrappers: [ServiceKind: [String]] = [:]
    public init() {}
  }

  /// How long a service may take to be ready.
  public static let readyMax = Duration.seconds(10)

  /// Starts `kinds` in that order, waits until each is ready, runs `body`, and ends everything.
  ///
  /// - Errors: those of `body`, and what went wrong with a service; the services' last lines go
  ///   to standard error then.
  public static func run(
    _ kinds: [ServiceKind], _ options: Options = Options(), _ body: (ServiceCluster) throws -> Void
  ) throws {
    let cluster = try ServiceCluster(options)
    do {
      defer { cluster.end() }
      for kind in kinds { try cluster.start(kind) }
      for kind in kinds { try cluster.waitUntilReady(kind) }
      try body(cluster)
    } catch {
      cluster.printTails("\(error)")
      cluster.tidy()
      throw error
    }
    cluster.tidy()
  }

  private init(_ options: Options) throws {
    self.options = options
    directory = FilePath("/tmp/sapphire-test-\(UInt32.random(in: 0...(.max)))")
    try Files.makeDirectories(directory.appending("run"))
    if let key = options.key { try Files.create(keyFile, content: [UInt8](key.utf8)) }
    if let text = options.configuration {
      try configure(text)
    }
    for kind in options.proxied {
      proxies[kind] = try FaultProxy(at: link(to: kind), to: ownLink(of: kind))
    }
  }

  /// Writes the configuration file anew; who runs reads it when told to.
  public func configure(_ text: String) throws {
    try Files.replace(directory.appending("sapphire.json5"), with: [UInt8](text.utf8))
  }

  /// Writes the file of the API key anew; `options.key` stays what the gateway began with.
  public func replaceKey(_ key: String) throws {
    try Files.replace(keyFile, with: [UInt8](key.utf8))
  }

  private var keyFile: FilePath { directory.appending("api.key") }

  /// Where a service's links listen.
  public func link(to kind: ServiceKind) -> SocketAddress {
    .unix(path: "\(directory)/run/\(kind.rawValue).sock")
  }

  /// Where a service listens itself: behind its proxy, if it has one.
  private func ownLink(of kind: ServiceKind) -> SocketAddress {
    guard options.proxied.contains(kind) else { return link(to: kind) }
    return .unix(path: "\(directory)/run/\(kind.rawValue).own")
  }

  /// What stands before a service of `options.proxied`.
  public func proxy(to kind: ServiceKind) throws -> FaultProxy {
    guard let proxy = proxies[kind] else {
      throw ClusterFailure("no proxy before \(kind.rawValue)")
    }
    return proxy
  }

  /// The directory of the event store.
  public var storeDirectory: FilePath { directory.appending("eventstore") }

  /// The public address of the gateway, once it listens.
  public func gateway() throws -> SocketAddress {
    let prefix = "listening http://"
    guard let line = services[.gateway]?.lines.last(where: { $0.hasPrefix(prefix) }),
      let address = SocketAddress("tcp:" + line.dropFirst(prefix.count))
    else { throw ClusterFailure("the gateway does not listen") }
    return address
  }

  // MARK: verbs

  /// Starts a service without waiting for it.
  public func start(_ kind: ServiceKind) throws {
    guard services[kind] == nil else { throw ClusterFailure("\(kind.rawValue) runs already") }
    let path = try options.builds[kind] ?? Self.executable(kind)
    var command = [path.description] + arguments(kind)
    if let wrapper = options.wrappers[kind] { command = wrapper + command }
    services[kind] = try RunningChild(
      ChildProgram(path: FilePath(command[0]), arguments: Array(command.dropFirst())))
  }

  /// Waits for the line that says that the service can work.
  public func waitUntilReady(_ kind: ServiceKind, within limit: Duration = readyMax) throws {
    // A gateway alone listens without being ready: what is behind it is missing on purpose.
    let isWhole = Set(services.keys).isSuperset(of: ServiceKind.allCases)
    let word = kind == .gateway && !isWhole ? "listening " : "ready "
    try wait(kind, "print \"\(word)…\"", within: limit) { child in
      child.lines.contains { $0.hasPrefix(word) }
    }
  }

  /// SIGKILL, and waits for the end.
  public func kill(_ kind: ServiceKind) throws {
    try send(.kill, kind)
    _ = try waitForEnd(kind)
  }

  /// SIGSTOP: there, but doing nothing.
  public func pause(_ kind: ServiceKind) throws { try send(.pause, kind) }

  /// SIGCONT.
  public func resume(_ kind: ServiceKind) throws { try send(.resume, kind) }

  /// Starts it again, where it was, and waits until it is ready.
  public func restart(_ kind: ServiceKind) throws {
    if services[kind] != nil { try kill(kind) }
    try start(kind)
    try waitUntilReady(kind)
  }

  public func send(_ signal: ProcessSignal, _ kind: ServiceKind) throws {
    guard let child = services[kind] else { throw ClusterFailure("\(kind.rawValue) does not run") }
    child.send(signal)
  }

  /// Runs the service's executable a second time, with these arguments, until it ends by itself.
  public func runToEnd(
    _ kind: ServiceKind, _ more: [String] = [], listen: String,
    within limit: Duration = .seconds(10)
  ) throws -> (end: ProcessEnd, said: [String]) {
    let arguments = ["--listen", listen, "--run", "\(directory)/run"] + more
    let child = try RunningChild(
      ChildProgram(path: try Self.executable(kind), arguments: arguments))
    defer { child.send(.kill) }
    let deadline = SystemClock.monotonic() + limit
    while true {
      if let end = child.end, child.hasSaidAll { return (end, child.tail) }
      guard SystemClock.monotonic() < deadline else {
        throw ClusterFailure("\(kind.rawValue) did not end within \(limit)")
      }
      SystemClock.pause(.milliseconds(1))
    }
  }

  /// How the service ended; it may be started again then.
  public func waitForEnd(_ kind: ServiceKind, within limit: Duration = .seconds(25)) throws
    -> ProcessEnd
  {
    var end: ProcessEnd?
    try wait(kind, "end", within: limit, mayEnd: true) { child in
      end = child.end
      return end != nil
    }
    if let child = services.removeValue(forKey: kind) {
      said[kind, default: []] += child.tail
      // The port stays the same for those who come back.
      if kind == .gateway, let line = child.lines.last(where: { $0.hasPrefix("listening http://") })
      {
        options.listen = String(line.dropFirst("listening http://".count))
      }
    }
    return end ?? .exited(-1)
  }

  /// Starts one more gateway before the same services and waits until it is ready.
  public func addGateway() throws -> ExtraGateway {
    var list = arguments(.gateway)
    list[1] = "127.0.0.1:0"
    let child = try RunningChild(
      ChildProgram(path: try Self.executable(.gateway), arguments: list))
    let extra = ExtraGateway(child)
    extras.append(extra)
    let deadline = SystemClock.monotonic() + Self.readyMax
    while !child.lines.contains(where: { $0.hasPrefix("ready ") }) {
      guard child.end == nil, SystemClock.monotonic() < deadline else {
        throw ClusterFailure("one more gateway is not ready: \(child.tail.suffix(5))")
      }
      SystemClock.pause(.milliseconds(1))
    }
    return extra
  }

  public func isRunning(_ kind: ServiceKind) -> Bool { services[kind]?.end == nil }

  public func process(_ kind: ServiceKind) -> ProcessID? { services[kind]?.process }

  /// Memory that the service has resident now; 0 if it does not run.
  public func residentBytes(of kind: ServiceKind) -> Int {
    guard let process = services[kind]?.process,
      let status = try? Files.read(
        FilePath("/proc/\(process.description)/status"), bytesMax: 64 * 1024)
    else { return 0 }
    let line = status.split(separator: 10).first { $0.starts(with: "VmRSS:".utf8) } ?? []
    let digits = line.filter { (48...57).contains($0) }
    return (Int(String(decoding: digits, as: UTF8.self)) ?? 0) * 1024
  }

  /// What the service said on standard output, and on standard error.
  public func output(_ kind: ServiceKind) -> (lines: [String], errors: [String]) {
    (services[kind]?.lines ?? [], (said[kind] ?? []) + (services[kind]?.errors ?? []))
  }

  // MARK: -

  private func wait(
    _ kind: ServiceKind, _ what: String, within limit: Duration, mayEnd: Bool = false,
    _ isDone: (RunningChild) -> Bool
  ) throws {
    guard let child = services[kind] else { throw ClusterFailure("\(kind.rawValue) does not run") }
    let deadline = SystemClock.monotonic() + limit
    while !isDone(child) {
      if !mayEnd, let end = child.end {
        throw ClusterFailure("\(kind.rawValue) \(end), before it did \(what)")
      }
      guard SystemClock.monotonic() < deadline else {
        throw ClusterFailure("\(kind.rawValue) did not \(what) within \(limit)")
      }
      SystemClock.pause(.milliseconds(1))
    }
  }

  private func arguments(_ kind: ServiceKind) -> [String] {
    let listen = kind == .gateway ? options.listen : ownLink(of: kind).description
    var list = ["--listen", listen, "--run", "\(directory)/run"]
    if options.configuration != nil { list += ["--config", "\(directory)/sapphire.json5"] }
    if kind == .eventstore { list += ["--data", "\(storeDirectory)"] }
    if kind == .gateway, options.key != nil { list += ["--api-key-file", "\(keyFile)"] }
    return list + (options.arguments[kind] ?? [])
  }

  /// The build of a service that is tested.
  public static func executable(_ kind: ServiceKind) throws -> FilePath {
    if let path = Processes.environment(kind.variable) { return FilePath(path) }
    let path = try builtDirectory().appending(kind.executable)
    guard Files.isExecutable(path) else {
      throw ClusterFailure("there is no \(path): run `swift build`, or set SAPPHIRE_BIN")
    }
    return path
  }

  /// Whether all of `kinds` can be started here.
  public static func canRun(_ kinds: [ServiceKind]) -> Bool {
    kinds.allSatisfy { (try? executable($0)) != nil }
  }

  private static func builtDirectory() throws -> FilePath {
    if let path = Processes.environment("SAPPHIRE_BIN") { return FilePath(path) }
    // The tests run from a bundle in the directory of what was built, or from a helper that is
    // given the bundle's path.
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") }
    return try bundle.map { FilePath($0).parent } ?? Processes.executable().parent
  }

  private func end() {
    for proxy in proxies.values { proxy.stop() }
    for extra in extras { extra.end() }
    for child in services.values { child.send(.kill) }
    for (kind, child) in services {
      let deadline = SystemClock.monotonic() + .seconds(5)
      while child.end == nil, SystemClock.monotonic() < deadline {
        SystemClock.pause(.milliseconds(1))
      }
      said[kind, default: []] += child.tail
    }
    services = [:]
  }

  private func printTails(_ reason: String) {
    var text = "--- \(reason)\n"
    for (kind, lines) in said.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      text += "--- \(kind.rawValue) said last\n" + lines.suffix(40).map { $0 + "\n" }.joined()
    }
    Output.standardError(text)
  }

  private func tidy() {
    guard Processes.environment("KEEP_RUN") != "1" else {
      for (kind, lines) in said {
        let text = lines.map { $0 + "\n" }.joined()
        try? Files.create(directory.appending("\(kind.rawValue).log"), content: [UInt8](text.utf8))
      }
      return Output.standardError("kept \(directory)\n")
    }
    Self.remove(directory)
  }

  private static func remove(_ path: FilePath) {
    guard let status = try? Files.linkStatus(path) else { return }
    guard status.kind == .directory else { return (try? Files.remove(path)) ?? () }
    for name in (try? Files.list(path)) ?? [] { remove(path.appending(name)) }
    try? Files.removeDirectory(path)
  }
}

/// A gateway besides the one that a cluster always has.
public final class ExtraGateway {
  private let child: RunningChild

  init(_ child: RunningChild) { self.child = child }

  public var isRunning: Bool { child.end == nil }
  public var process: ProcessID { child.process }

  public func address() throws -> SocketAddress {
    let prefix = "listening http://"
    guard let line = child.lines.last(where: { $0.hasPrefix(prefix) }),
      let address = SocketAddress("tcp:" + line.dropFirst(prefix.count))
    else { throw ClusterFailure("one more gateway does not listen") }
    return address
  }

  public func send(_ signal: ProcessSignal) { child.send(signal) }

  func end() {
    child.send(.kill)
    let deadline = SystemClock.monotonic() + .seconds(5)
    while child.end == nil, SystemClock.monotonic() < deadline {
      SystemClock.pause(.milliseconds(1))
    }
  }
}
