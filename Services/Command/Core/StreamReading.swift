internal import Bytes
internal import Client
internal import JSON
internal import Platform

/// What the API says of one stream.
struct StoredStream {
  struct Fork: Equatable {
    /// Nil where it was deleted.
    var source: String?
    var at: Int64
    var author: String?
  }

  let json: JSONValue
  let name: String
  let head: Int64
  let floor: Int64
  let bytes: UInt64
  let fork: Fork?

  init?(_ json: JSONValue) {
    guard let name = json["channel"]?.string else { return nil }
    self.json = json
    self.name = name
    head = json["offset"]?.int ?? 0
    floor = json["floor"]?.int ?? 0
    bytes = UInt64(clamping: json["bytes"]?.int ?? 0)
    fork = json["fork"].map {
      Fork(source: $0["of"]?.string, at: $0["at"]?.int ?? 0, author: $0["author"]?.string)
    }
  }
}

/// Streams as a tree, drawn with lines. Pure.
struct StreamTree {
  private let streams: [StoredStream]

  init(_ streams: [StoredStream]) { self.streams = streams }

  /// Those that are forked from nothing that is here come first, each with its forks below it, in the
  /// order of their fork points.
  var lines: [String] {
    let names = Set(streams.map(\.name))
    let roots = streams.filter { stream in
      stream.fork?.source.map { !names.contains($0) } ?? true
    }
    return roots.flatMap { below($0, "", "") }
  }

  private func below(_ stream: StoredStream, _ lead: String, _ rest: String) -> [String] {
    var lines = [lead + Self.line(stream)]
    let forks = streams.filter { $0.fork?.source == stream.name }
      .sorted { ($0.fork?.at ?? 0, $0.name) < ($1.fork?.at ?? 0, $1.name) }
    for (index, fork) in forks.enumerated() {
      let isLast = index + 1 == forks.count
      lines += below(fork, rest + (isLast ? "└─ " : "├─ "), rest + (isLast ? "   " : "│  "))
    }
    return lines
  }

  private static func line(_ stream: StoredStream) -> String {
    var words = ["\(stream.name)  \(stream.head)"]
    if let fork = stream.fork {
      words.append("from \(fork.at)")
      if fork.source == nil { words.append("its source was deleted") }
      if let author = fork.author { words.append("by \(author)") }
    }
    if stream.floor > 0 { words.append("begins after \(stream.floor)") }
    words.append(StreamCommands.size(stream.bytes))
    return words.joined(separator: ", ")
  }
}

/// Reads a stream page by page through the API.
struct StreamReading {
  private let channel: ChannelName
  private let calls: ServerCalls
  /// The server gives at most this many events at once.
  private static let pageMax = 300

  init(_ channel: ChannelName, _ calls: ServerCalls) {
    self.channel = channel
    self.calls = calls
  }

  /// Gives `body` each event in order; it returns false to have no more.
  func each(
    from: Int = 1, to: Int = .max, limit: Int = .max, _ body: (JSONValue) throws -> Bool
  ) throws {
    var pages = Pages(self, after: from - 1)
    var left = limit
    while left > 0, let event = try pages.next(most: left) {
      guard let offset = event["offset"]?.int, offset <= Int64(clamping: to) else { return }
      guard try body(event) else { return }
      left -= 1
    }
  }

  /// Gives `body` each event, the newest first; it returns false to have no more.
  func eachReversed(from: Int, to: Int, _ body: (JSONValue) throws -> Bool) throws {
    var since: Position?
    while true {
      let result = try calls.result(
        ServerAPI.history(channel, limit: Self.pageMax, since: since, newestFirst: true))
      let page = result["publications"]?.array ?? []
      for event in page {
        guard let offset = event["offset"]?.int, offset >= Int64(clamping: from) else { return }
        guard try offset > Int64(clamping: to) || body(event) else { return }
      }
      guard let last = page.last?["offset"]?.int, last > 1,
        let epoch = result["epoch"]?.string.flatMap({ Epoch($0) })
      else { return }
      since = Position(epoch: epoch, offset: Offset(UInt64(clamping: last)))
    }
  }

  func pages(after: Int = 0) -> Pages { Pages(self, after: after) }

  /// One event after the other, of one epoch.
  struct Pages {
    private let reading: StreamReading
    private var events: ArraySlice<JSONValue> = []
    private var after: UInt64
    private var epoch: Epoch?
    private var isDone = false

    init(_ reading: StreamReading, after: Int) {
      self.reading = reading
      self.after = UInt64(clamping: after)
    }

    mutating func next(most: Int = .max) throws -> JSONValue? {
      if let event = events.popFirst() { return event }
      guard !isDone else { return nil }
      try readPage(most)
      return events.popFirst()
    }

    private mutating func readPage(_ most: Int) throws {
      if epoch == nil {
        let head = try reading.calls.result(
          ServerAPI.history(reading.channel, limit: 1, since: nil, newestFirst: false))
        epoch = head["epoch"]?.string.flatMap { Epoch($0) }
        // What is not there yet is nothing to print; what was removed is passed over.
        if UInt64(clamping: head["offset"]?.int ?? 0) <= after {
          isDone = true
          return
        }
        let first = head["publications"]?.array?.first?["offset"]?.int ?? 1
        after = max(after, UInt64(clamping: first - 1))
      }
      let since = after == 0 ? nil : epoch.map { Position(epoch: $0, offset: Offset(after)) }
      let result = try reading.calls.result(
        ServerAPI.history(
          reading.channel, limit: min(StreamReading.pageMax, most), since: since,
          newestFirst: false))
      let page = result["publications"]?.array ?? []
      events = page[...]
      let last = page.last?["offset"]?.int ?? 0
      after = UInt64(clamping: last)
      isDone = page.isEmpty || last >= result["offset"]?.int ?? 0
    }
  }
}

/// Two timelines side by side.
struct StreamDiff {
  private let names: [ChannelName]
  private let calls: ServerCalls

  init(_ first: ChannelName, _ second: ChannelName, _ calls: ServerCalls) {
    names = [first, second]
    self.calls = calls
  }

  /// Writes what either has alone, and says whether they are the same.
  func write(to console: Console) throws -> Bool {
    let streams = try names.map { name in
      guard let found = try StreamCommands.streams(name.text, calls).first(where: { $0.name == name.text })
      else { throw UsageError("there is no stream \(name)") }
      return found
    }
    let same = shared(streams)
    var pages = names.map { StreamReading($0, calls).pages(after: Int(clamping: same)) }
    var next = [try pages[0].next(), try pages[1].next()]
    while let first = next[0], first == next[1] { next = [try pages[0].next(), try pages[1].next()] }
    let isSame = next == [nil, nil]
    for (index, sign) in [(0, "-"), (1, "+")] {
      while let event = next[index] {
        let line = [UInt8]("\(sign) ".utf8) + StreamCommands.line(event) + [10]
        guard console.write(line) else { return false }
        next[index] = try pages[index].next()
      }
    }
    return isSame
  }

  /// An offset up to which nothing has to be compared: where one leaves the other, or both what they come
  /// from; of others 0.
  private func shared(_ streams: [StoredStream]) -> Int64 {
    if streams[0].json["sha256"]?.string == streams[1].json["sha256"]?.string { return streams[0].head }
    let (first, second) = (streams[0], streams[1])
    if second.fork?.source == first.name { return second.fork?.at ?? 0 }
    if first.fork?.source == second.name { return first.fork?.at ?? 0 }
    if let source = first.fork?.source, source == second.fork?.source {
      return min(first.fork?.at ?? 0, second.fork?.at ?? 0)
    }
    return 0
  }
}
