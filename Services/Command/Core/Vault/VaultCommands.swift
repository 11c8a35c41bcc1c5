internal import Bytes
internal import Client
internal import JSON
internal import Platform

/// `sapphire vault watch` and `sapphire vault drop`: files as publications.
enum VaultCommands {
  static let watch = Command(
    name: "vault watch", summary: "announces every file that is put into a directory",
    usage: "DIR CHANNEL",
    details: """
      A file that is written or moved into DIR, or below it, becomes one publication
      {"type":"artifact","name","bytes","sha256","modified"} once it is complete: closed by its
      writer, or moved in. The content goes first, to /vault/SHA256. What was added while
      nobody watched is announced at the start; what was announced is remembered in the data
      directory. Names are relative to DIR; files and directories whose names begin with a
      dot, and symbolic links, are left out.

      Prints a line `watching …`, then for each artifact its name, hash and position. While
      the server is away it tries again for ever. CHANNEL should be a durable one. One watcher
      a directory and channel; killing it at any moment neither loses nor doubles anything.

      Example:
        sapphire vault watch ./artifacts universal-frequency
      """,
    options: Server.options, run: runWatch)

  static let drop = Command(
    name: "vault drop", summary: "announces one file",
    usage: "CHANNEL FILE [--name NAME]",
    details: """
      Sends the file's content to the server, then publishes it as an artifact. Dropping the
      same file again changes nothing. Prints name, hash and position. A file whose name begins
      with a dot is no artifact, unless it gets another name.

      Example:
        sapphire vault drop universal-frequency report.pdf
      """,
    options: Server.options + [
      .value("--name", "NAME", "the artifact's name (the file's own without directories)")
    ], run: runDrop)

  // MARK: watch

  private static func runWatch(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    SignalReader.blockHandled()
    do {
      guard arguments.operands.count == 2 else {
        throw UsageError("give a directory and a channel")
      }
      let channel = try channelName(arguments.operands[1])
      let root = try directory(arguments.operands[0])
      let server = try keyedServer(arguments, context)
      let data = try context.dataDirectory(arguments)
      let place = server.url.address.isLoopback ? data.path : server.url.description
      let identity = "\(root)\0\(channel)\0\(place)"
      guard let journal = try VaultJournalFile(in: data.vaultWatch, identity: identity) else {
        context.console.report("another watcher announces \(root) in \(channel) already")
        return .failure
      }
      return try VaultWatch(
        root: root, channel: channel, server: server, journal: journal, console: context.console
      ).run()
    } catch {
      return report(error, "vault watch", context)
    }
  }

  /// The directory's own path: the same under whatever name it was given.
  private static func directory(_ text: String) throws -> FilePath {
    guard try Files.status(FilePath(text)).kind == .directory else {
      throw UsageError("\(text) is no directory")
    }
    return try Files.realPath(FilePath(text))
  }

  // MARK: drop

  private static func runDrop(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    SignalReader.blockHandled()
    do {
      guard arguments.operands.count == 2 else { throw UsageError("give a channel and a file") }
      let channel = try channelName(arguments.operands[0])
      let given = FilePath(arguments.operands[1])
      guard arguments["--name"] != nil || !given.lastComponent.starts(with: ".".utf8) else {
        throw UsageError("dot files are no artifacts; --name NAME announces it under another name")
      }
      let file = try Files.realPath(given)
      let server = try keyedServer(arguments, context)
      let files = VaultFiles(root: file.parent)
      let (artifact, version) = try artifact(
        file, arguments["--name"] ?? artifactName(given.lastComponent), files)
      let calls = try ServerCalls(server, context.console)
      let position = try drop(artifact, channel, file, calls) {
        files.isStill(file.lastComponent, version)
      }
      context.console.line(
        "\(printable(artifact.name)) \(artifact.sha256) \(position?.description ?? "announced")")
      return .ok
    } catch {
      return report(error, "vault drop", context)
    }
  }

  private static func artifact(_ file: FilePath, _ name: String, _ files: VaultFiles) throws
    -> (Artifact, FileVersion)
  {
    let status = try Files.status(file)
    guard status.kind == .file else { throw UsageError("\(file) is no plain file") }
    let version = VaultFiles.version(status)
    guard case .sha256(let sha256) = files.hash(file.lastComponent, version) else {
      throw DropFailure(code: .failure, message: "\(file) changes while it is read")
    }
    let artifact = Artifact(
      name: name, bytes: version.bytes, sha256: sha256,
      modifiedMs: version.modifiedMs)
    return (artifact, version)
  }

  /// A reason why a file was not announced.
  private struct DropFailure: Error {
    let code: ExitCode
    let message: String
  }

  /// Tries both steps for some seconds; each may be repeated without harm.
  private static func drop(
    _ artifact: Artifact, _ channel: ChannelName, _ file: FilePath, _ calls: ServerCalls,
    isStill: () -> Bool
  ) throws -> Position? {
    let deadline = SystemClock.monotonic() + PublishRetries.patience
    while true {
      let content = calls.send(
        try VaultUpload.content(artifact, from: file), within: VaultUpload.contentWithin(artifact))
      guard isStill() else {
        throw DropFailure(code: .failure, message: "\(file) changed while it was sent")
      }
      var answer = VaultUpload.contentAnswer(content)
      if case .done = answer {
        answer = VaultUpload.publicationAnswer(
          calls.send(try VaultUpload.publication(artifact, in: channel)))
      }
      switch answer {
      case .done(let position): return position
      case .notPermitted(let reason): throw DropFailure(code: .notPermitted, message: reason)
      case .refused(let reason): throw DropFailure(code: .failure, message: reason)
      case .changed: throw DropFailure(code: .failure, message: "\(file) changed while it was sent")
      case .later(let reason), .thisLater(let reason):
        guard SystemClock.monotonic() < deadline else {
          throw DropFailure(code: .unavailable, message: reason)
        }
        SystemClock.pause(PublishRetries.pause)
      }
    }
  }

  // MARK: -

  private static func keyedServer(_ arguments: Arguments, _ context: CommandContext) throws
    -> Server
  {
    let server = try context.server(arguments)
    guard server.key != nil else {
      throw DropFailure(
        code: .notPermitted,
        message: "the vault needs the API's key: set SAPPHIRE_API_KEY, or --data DIR of the server")
    }
    return server
  }

  private static func report(_ error: any Error, _ name: String, _ context: CommandContext)
    -> ExitCode
  {
    if let error = error as? UsageError { return context.refuse(error, name) }
    if let error = error as? DropFailure {
      context.console.report(error.message)
      return error.code
    }
    context.console.report("\(error)")
    return .failure
  }
}
