internal import Archive
internal import Bytes
internal import Client
internal import JSON
internal import Platform
internal import Wire

/// `sapphire stream import`: a stream as it was exported, or nothing.
enum StreamImport {
  static let command = Command(
    name: "stream import", summary: "brings exported streams in", usage: "FILE [--as CHANNEL]",
    details: """
      Makes each stream of the file anew, with the events' own offsets, times and publishers, so that
      its chain is that of the export; its epoch is another. The whole file is verified before
      anything is sent, and a stream is there once all of it is: whatever goes wrong, nothing is left.
      A stream that exists is never written to. Who is subscribed already is given what was imported
      with the next event. The key needs the scope `admin`.

      Examples:
        sapphire stream import orders.ndjson
        sapphire stream import orders.ndjson --as log:orders:restored
      """,
    options: Server.options + [
      .value("--as", "CHANNEL", "another name, of a file with one stream"),
      .flag("--json", "prints a line of JSON for each stream"),
    ]
  ) { arguments, context in
    guard let path = arguments.operands.first, arguments.operands.count == 1, path != "-" else {
      return context.refuse(UsageError("give one file"), "stream import")
    }
    let sections: [ArchiveFiles.Section]
    do {
      sections = try StreamVerify.read(path)
    } catch let fault as ArchiveFault {
      StreamVerify.tell(path, fault, arguments, context)
      return .damagedData
    } catch {
      context.console.report("\(path): \(error)")
      return .failure
    }
    return LookCommands.look("stream import", arguments, context, operands: 1) { calls in
      let names = try names(sections, arguments)
      for name in names {
        guard try !StreamCommands.streams(name.text, calls).contains(where: { $0.name == name.text })
        else { throw StreamFailure("there is a stream \(name): nothing was imported") }
      }
      return try upload(path, sections, names, calls).map { arguments.has("--json") ? $0.json : $0.line }
    }
  }

  private static func names(
    _ sections: [ArchiveFiles.Section], _ arguments: Arguments
  ) throws -> [ChannelName] {
    guard let given = arguments["--as"] else { return sections.map(\.header.channel) }
    guard sections.count == 1 else { throw UsageError("--as is of a file with one stream") }
    return [try channelName(given)]
  }

  private struct Done {
    let section: ArchiveFiles.Section
    let result: JSONValue

    private var channel: String { result["channel"]?.string ?? "" }
    private var epoch: String { result["epoch"]?.string ?? "" }

    var line: [UInt8] { [UInt8]("\(channel)  \(section.count) events up to offset \(section.last)".utf8) }

    var json: [UInt8] {
      var writer = JSONWriter()
      writer.beginObject()
      writer.field("channel", channel)
      writer.field("epoch", epoch)
      writer.field("first", section.header.first.value)
      writer.field("last", section.last.value)
      writer.field("events", section.count)
      writer.field("sha256", section.chain.hexadecimal)
      writer.endObject()
      return writer.bytes
    }
  }

  /// Sends the file's streams one after the other. It is read and verified again: who changes it meanwhile
  /// brings nothing in.
  private static func upload(
    _ path: String, _ sections: [ArchiveFiles.Section], _ names: [ChannelName], _ calls: ServerCalls
  ) throws -> [Done] {
    let bytes = (try? Files.status(FilePath(path)).bytes).map { UInt64(clamping: $0) } ?? 0
    let progress = Progress("importing \(path)", of: bytes)
    defer { progress.end() }
    var done: [Done] = []
    var upload: StreamUpload?
    try ArchiveFiles.read(path, progress) { item in
      switch item {
      case .header(let header):
        guard done.count < names.count else { throw StreamFailure("\(path) was changed") }
        upload = try StreamUpload(header, as: names[done.count], calls)
      case .event(let event): try upload?.add(event)
      case .end(let header, let count, let last, let chain):
        let section = ArchiveFiles.Section(header: header, count: count, last: last, chain: chain)
        guard section == sections[done.count], let result = try upload?.finish(last, chain) else {
          throw StreamFailure("\(path) was changed")
        }
        done.append(Done(section: section, result: result))
      }
    }
    return done
  }
}

/// One stream on its way to the store, in bounded steps.
struct StreamUpload {
  private let calls: ServerCalls
  private let id: String
  private var writer = JSONWriter()
  private var count = 0
  /// BUDGET: bytes of JSON of one step; an append waits for one such commit. A larger event goes alone.
  private static let stepBytes = 256 << 10
  private static let stepEvents = 512

  init(_ header: ArchiveHeader, as name: ChannelName, _ calls: ServerCalls) throws {
    self.calls = calls
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("begin")
    writer.beginObject()
    writer.field("channel", name.text)
    writer.field("first", header.first.value)
    writer.field("chain", header.chain.hexadecimal)
    writer.endObject()
    writer.endObject()
    let result = try calls.result(ServerAPI.importStream(writer.bytes))
    guard let id = result["import"]?.string else {
      throw StreamFailure("the server's answer can't be read")
    }
    self.id = id
  }

  mutating func add(_ event: StoredEvent) throws {
    if count == 0 {
      writer = JSONWriter(reserving: Self.stepBytes * 2)
      writer.beginObject()
      writer.field("import", id)
      writer.key("events")
      writer.beginArray()
    }
    EventJSON.append(event, to: &writer)
    count += 1
    if writer.bytes.count >= Self.stepBytes || count >= Self.stepEvents { try send() }
  }

  private mutating func send() throws {
    guard count > 0 else { return }
    writer.endArray()
    writer.endObject()
    count = 0
    _ = try calls.result(ServerAPI.importStream(writer.bytes))
  }

  mutating func finish(_ last: Offset, _ chain: StreamChain) throws -> JSONValue {
    try send()
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("import", id)
    writer.key("finish")
    writer.beginObject()
    writer.field("last", last.value)
    writer.field("chain", chain.hexadecimal)
    writer.endObject()
    writer.endObject()
    return try calls.result(ServerAPI.importStream(writer.bytes))
  }
}
