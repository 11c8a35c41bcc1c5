internal import Config
internal import Platform
internal import TLSStream

/// The configuration as the services will read it, and what is wrong with it.
struct CheckedSettings {
  let configuration: Configuration

  /// Reads `file` (the defaults without one) and what the environment overrides.
  ///
  /// - Errors: `Refusal` with every problem, a line each.
  init(
    file: String?, environment: [String], _ context: CommandContext
  ) throws(Refusal) {
    var text: [UInt8]?
    do throws(SystemError) {
      text = try file.map { path throws(SystemError) in
        try Files.read(FilePath(path), bytesMax: Self.bytesMax)
      }
    } catch {
      throw Refusal(code: .configuration, message: "the configuration can't be read: \(error)")
    }
    var variables: [String: String] = [:]
    for entry in environment {
      guard let equals = entry.firstIndex(of: "=") else { continue }
      variables[String(entry[..<equals])] = String(entry[entry.index(after: equals)...])
    }
    let check = Configuration.check(
      file: file ?? "defaults", text: text, environment: variables,
      channelTypes: context.channelTypes, callHandlers: context.callHandlers,
      channelFault: context.channelFault)
    guard check.isSound else {
      var report = check.report
      while report.hasSuffix("\n") { report.removeLast() }
      throw Refusal(code: .configuration, message: "the configuration is refused:\n\(report)")
    }
    configuration = check.configuration
  }

  /// A configuration file larger than this is some other file.
  static let bytesMax = 4 << 20

  /// What is wrong with the files that the settings name, as the gateway would say it.
  func fileFault(_ file: String) -> Refusal? {
    let tls = configuration.tls
    guard let certificate = tls.certificate, let key = tls.key else { return nil }
    let files = CertificateFiles(certificate: FilePath(certificate.path), key: FilePath(key.path))
    do throws(CertificateFiles.Refused) {
      _ = try files.load(at: SystemClock.wallMilliseconds() / 1_000)
      return nil
    } catch {
      let problem = ConfigProblem(
        file: file, place: error.part == .key ? key.place : certificate.place,
        setting: "tls.\(error.part.rawValue)", reason: error.description)
      return Refusal(
        code: .configuration, message: "the configuration is refused:\n\(problem)")
    }
  }
}

/// A reason not to go on, with its exit code.
struct Refusal: Error, Equatable {
  let code: ExitCode
  let message: String
}

/// `sapphire config check`: what is wrong with a configuration file, before anything runs on it.
enum ConfigCheckCommand {
  static let command = Command(
    name: "config check", summary: "finds what is wrong with a configuration file",
    usage: "FILE",
    details: """
      Reads the JSON5 file as every service would, with what SAPPHIRE_<SECTION>_<KEY> in the
      environment overrides. Prints each problem as FILE:LINE: SETTING: REASON and exits 78,
      or says that the file is sound and exits 0.

      Example:
        sapphire config check sapphire.json5
      """,
    options: []
  ) { arguments, context in
    guard arguments.operands.count == 1 else {
      return context.refuse(UsageError("give one file"), "config check")
    }
    let file = arguments.operands[0]
    do throws(Refusal) {
      let settings = try CheckedSettings(
        file: file, environment: Processes.environment(), context)
      if let fault = settings.fileFault(file) { throw fault }
      return context.console.line("\(file) is sound") ? .ok : .failure
    } catch {
      context.console.report(error.message)
      return error.code
    }
  }
}
