internal import Archive
internal import Bytes
internal import Client
internal import JSON
internal import Platform

/// `sapphire stream verify`: whether files are what an export wrote, without any server.
enum StreamVerify {
  static let command = Command(
    name: "stream verify", summary: "checks exported streams", usage: "FILE... [--live] [--json]",
    details: """
      Computes the chain of each stream anew, and says where a file is not what was exported: lines
      that were changed, removed, added, moved. Needs no server. `-` reads standard input.

      A file that somebody made anew from the beginning is whole in itself. That it is the same
      stream, only the chain tells that was noted elsewhere: --sha256 compares with such a note, and
      --live with the running store.

      Exits 0 where all is as it was, 65 where it is not.

      Examples:
        sapphire stream verify orders.ndjson
        sapphire stream verify orders.ndjson --live
      """,
    options: Server.options + [
      .flag("--live", "compares with the streams of the running store, too"),
      .value("--sha256", "HEX", "the chain that the last event must have, of a file with one stream"),
      .flag("--json", "prints a line of JSON for each stream and for what is wrong"),
    ]
  ) { arguments, context in
    do throws(UsageError) {
      guard !arguments.operands.isEmpty else { throw UsageError("give a file, or several") }
      var code = ExitCode.ok
      for path in arguments.operands {
        let found = try verify(path, arguments, context)
        if code == .ok { code = found }
      }
      return code
    } catch {
      return context.refuse(error, "stream verify")
    }
  }

  private static func verify(
    _ path: String, _ arguments: Arguments, _ context: CommandContext
  ) throws(UsageError) -> ExitCode {
    let sections: [ArchiveFiles.Section]
    do {
      sections = try read(path)
    } catch let fault as ArchiveFault {
      tell(path, fault, arguments, context)
      return .damagedData
    } catch {
      context.console.report("\(path): \(error)")
      return .failure
    }
    if let noted = arguments["--sha256"] {
      guard sections.count == 1 else { throw UsageError("--sha256 is of a file with one stream") }
      if sections[0].chain.hexadecimal != noted.lowercased() {
        tell(path, sections[0], "the chain is not the one that was noted", arguments, context)
        return .damagedData
      }
    }
    if arguments.has("--live") {
      let code = try compare(path, sections, arguments, context)
      guard code == .ok else { return code }
    }
    for section in sections { tell(path, section, nil, arguments, context) }
    return .ok
  }

  /// As `ArchiveFiles.verify`, with progress.
  static func read(_ path: String) throws -> [ArchiveFiles.Section] {
    let bytes = (try? Files.status(FilePath(path)).bytes).map { UInt64(clamping: $0) } ?? 0
    let progress = Progress("verifying \(path)", of: bytes)
    defer { progress.end() }
    return try ArchiveFiles.verify(path, progress)
  }

  private static func compare(
    _ path: String, _ sections: [ArchiveFiles.Section], _ arguments: Arguments,
    _ context: CommandContext
  ) throws(UsageError) -> ExitCode {
    let server = try context.server(arguments)
    do {
      let calls = try ServerCalls(server, context.console)
      for section in sections {
        let chain = try StreamExport.chain(of: section.header.channel, at: section.last.value, calls)
        guard chain == section.chain else {
          tell(
            path, section, "the running store has another history up to offset \(section.last)",
            arguments, context)
          return .damagedData
        }
      }
      return .ok
    } catch let failure as ServerAPI.Failure {
      return context.report(failure, server)
    } catch {
      context.console.report("\(path): \(error)")
      return .failure
    }
  }

  static func tell(
    _ path: String, _ fault: ArchiveFault, _ arguments: Arguments, _ context: CommandContext
  ) {
    guard arguments.has("--json") else {
      return context.console.report("\(path): \(fault.description)")
    }
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("file", path)
    writer.field("ok", false)
    writer.field("line", Int64(fault.line))
    if let offset = fault.offset { writer.field("offset", offset.value) }
    writer.field("problem", fault.reason.rawValue)
    writer.endObject()
    context.console.write(writer.bytes + [10])
  }

  private static func tell(
    _ path: String, _ section: ArchiveFiles.Section, _ problem: String?, _ arguments: Arguments,
    _ context: CommandContext
  ) {
    if arguments.has("--json") {
      var writer = JSONWriter()
      writer.beginObject()
      writer.field("file", path)
      writer.field("ok", problem == nil)
      if let problem { writer.field("problem", problem) }
      StreamExport.appendMembers(section, to: &writer)
      writer.endObject()
      context.console.write(writer.bytes + [10])
    } else if let problem {
      context.console.report("\(path): \(section.header.channel): \(problem)")
    } else {
      context.console.line(
        "\(section.header.channel)  \(section.count) events up to offset \(section.last)"
          + "  \(section.chain.hexadecimal)")
    }
  }
}
