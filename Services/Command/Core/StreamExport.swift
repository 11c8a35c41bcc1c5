internal import Archive
internal import Bytes
internal import Client
internal import JSON
internal import Platform
internal import Wire

/// Why something that was asked of streams came to nothing, in one sentence.
struct StreamFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// `sapphire stream export`: streams as files that anyone can verify.
enum StreamExport {
  static let command = Command(
    name: "stream export", summary: "writes streams to a file",
    usage: "CHANNEL|PREFIX* [--format F] [--from N] [--to N] [-o FILE]",
    details: """
      Writes a header, each event on a line, and an end; of several streams one after the other. Every
      line has the chain behind its event: `sapphire stream verify` finds what was changed later, and
      `sapphire stream import` makes the same stream of it, here or elsewhere. The contents of
      artifacts are not in it, only the events that announce them.

      Formats: ndjson, our own; cloudevents, CloudEvents 1.0 in JSON.

      Examples:
        sapphire stream export log:orders -o orders.ndjson
        sapphire stream export 'sim:*' --format cloudevents -o runs.ndjson
      """,
    options: Server.options + [
      .value("--format", "F", "ndjson or cloudevents (ndjson)"),
      .value("--from", "N", "from this offset on (the stream's first)"),
      .value("--to", "N", "up to this offset (the head)"),
      .value("-o", "FILE", "the file, which is there once it is whole (standard output)"),
      .flag("--json", "prints what was written as JSON; without -o on standard error"),
    ]
  ) { arguments, context in
    LookCommands.look("stream export", arguments, context, operands: 1) { calls in
      let plan = try Plan(arguments)
      let output = try ArchiveOutput(arguments["-o"], context.console)
      do {
        var lines: [[UInt8]] = []
        for stream in try plan.streams(calls) {
          let section = try export(stream, plan, calls, output)
          if arguments.has("--json") { lines.append(summary(section)) }
        }
        try output.finish()
        guard arguments["-o"] == nil else { return lines }
        for line in lines { Output.standardError(line + [10]) }
        return []
      } catch {
        output.abandon()
        throw error
      }
    }
  }

  private struct Plan {
    let operand: String
    let format: ArchiveFormat
    let from: Int?
    let to: Int

    init(_ arguments: Arguments) throws(UsageError) {
      operand = arguments.operands[0]
      let name = arguments["--format"] ?? ArchiveFormat.ndjson.rawValue
      guard let format = ArchiveFormat(rawValue: name) else {
        throw UsageError("--format is ndjson or cloudevents, not \(name)")
      }
      self.format = format
      from =
        arguments.has("--from")
        ? try arguments.integer("--from", in: 1...Int.max, default: 1) : nil
      to = try arguments.integer("--to", in: 1...Int.max, default: .max)
    }

    func streams(_ calls: ServerCalls) throws -> [StoredStream] {
      let isPrefix = operand.hasSuffix("*")
      let name = isPrefix ? String(operand.dropLast()) : try channelName(operand).text
      let found = try StreamCommands.streams(name, calls).filter { isPrefix || $0.name == name }
      guard !found.isEmpty else { throw UsageError("there is no stream \(operand)") }
      return found
    }
  }

  /// What a section holds, for scripts.
  static func summary(_ section: ArchiveFiles.Section) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    appendMembers(section, to: &writer)
    writer.endObject()
    return writer.bytes
  }

  static func appendMembers(_ section: ArchiveFiles.Section, to writer: inout JSONWriter) {
    writer.field("channel", section.header.channel.text)
    writer.field("epoch", section.header.epoch.text)
    writer.field("first", section.header.first.value)
    writer.field("last", section.last.value)
    writer.field("events", section.count)
    writer.field("sha256", section.chain.hexadecimal)
  }

  private static func export(
    _ stream: StoredStream, _ plan: Plan, _ calls: ServerCalls, _ output: ArchiveOutput
  ) throws -> ArchiveFiles.Section {
    guard let name = ChannelName(stream.name),
      let epoch = stream.json["epoch"]?.string.flatMap({ Epoch($0) })
    else { throw StreamFailure("the server says nothing that can be read of \(stream.name)") }
    let floor = UInt64(clamping: stream.floor)
    let first = max(floor + 1, UInt64(clamping: plan.from ?? 1))
    let head = UInt64(clamping: stream.head)
    let last = min(head, UInt64(clamping: plan.to))
    // All that was trimmed leaves a stream that has an end and no events.
    guard first <= last || plan.from == nil && first > head && last == head else {
      throw UsageError("\(name) has offsets \(floor + 1) to \(head): none of those asked for")
    }
    let header = ArchiveHeader(
      channel: name, epoch: epoch, floor: Offset(floor), first: Offset(first),
      chain: try chain(of: name, at: first - 1, calls),
      fork: stream.fork.map {
        ArchiveHeader.Fork(source: $0.source ?? "", at: Offset(UInt64(clamping: $0.at)))
      })
    var writer = ArchiveWriter(header, plan.format)
    let progress = Progress("exporting \(name)", of: last + 1 - first)
    defer { progress.end() }
    try output.write(writer.firstLine)
    while writer.next.value <= last {
      let since = Position(epoch: epoch, offset: Offset(writer.next.value - 1))
      let limit = Int(clamping: min(last - writer.last.value, 300))
      let page = try exactPage(
        calls.send(
          ServerAPI.history(name, limit: limit, since: since, newestFirst: false, isExact: true)))
      guard !page.isEmpty else { throw StreamFailure("\(name) ends before offset \(last)") }
      for event in page {
        guard event.offset == writer.next else {
          throw StreamFailure("\(name) has no event at offset \(writer.next)")
        }
        try output.write(writer.line(event))
      }
      progress.at(writer.count)
    }
    try output.write(writer.lastLine)
    return ArchiveFiles.Section(
      header: header, count: writer.count, last: writer.last, chain: writer.chain)
  }

  /// The chain that the running store has behind an offset.
  static func chain(of name: ChannelName, at offset: UInt64, _ calls: ServerCalls) throws -> StreamChain {
    let result = try calls.result(ServerAPI.streams(prefix: name.text, after: "", limit: 1, at: offset))
    // In order of name, and none that begins with this one comes before it.
    guard let found = result["streams"]?.array?.first, found["channel"]?.string == name.text else {
      throw StreamFailure("there is no stream \(name)")
    }
    guard let chain = found["sha256"]?.string.flatMap({ bytes(hex: $0) }).flatMap({ StreamChain($0) })
    else { throw StreamFailure("the stream \(name) does not have offset \(offset), or not any more") }
    return chain
  }

  /// The events of an exact history, from the answer's very bytes: a tree of JSON would not keep them.
  static func exactPage(_ answer: Result<HTTPResponse, HTTPFailure>) throws -> [StoredEvent] {
    guard case .success(let response) = answer, response.status == 200,
      let events = exactPage(response.body)
    else {
      _ = try ServerAPI.result(answer)
      throw StreamFailure("the server's answer can't be read: it may be too old for this")
    }
    return events
  }

  private static func exactPage(_ body: [UInt8]) -> [StoredEvent]? {
    let span = body.span
    guard let result = member("result", of: span) else { return nil }
    let object = span.extracting(result)
    guard let list = member("publications", of: object) else { return nil }
    let elements = object.extracting(list)
    var events: [StoredEvent] = []
    do throws(JSONError) {
      var scanner = try JSONArrayScanner(array: elements)
      while let element = try scanner.next(elements) {
        guard let event = EventJSON.event(elements.extracting(element.value)) else { return nil }
        events.append(event)
      }
    } catch { return nil }
    return events
  }

  private static func member(_ name: String, of span: borrowing Span<UInt8>) -> Range<Int>? {
    do throws(JSONError) {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) {
        if member.isKey(name, in: span) { return member.value }
      }
    } catch { return nil }
    return nil
  }
}
