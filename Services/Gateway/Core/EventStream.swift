internal import Bytes

/// Writes `text/event-stream` (WHATWG HTML §9.2.5): each event whole, ended by its empty line. Pure.
///
/// Names and ids are ours and never hold a line end; data may hold anything.
enum EventStream {
  static let contentType = "text/event-stream"
  /// Keeps proxies and clients from taking a quiet stream for a dead one; tells nobody anything.
  static let heartbeat: [UInt8] = [UInt8](":\n\n".utf8)

  /// Appends one event. Without `name` it is a `message`; without `id` the last id stays.
  static func append(
    id: String? = nil, name: String? = nil, retryMs: Int? = nil, data: [UInt8],
    to output: inout [UInt8]
  ) {
    output.reserveCapacity(output.count + data.count + 64)
    if let retryMs { field("retry", String(retryMs), to: &output) }
    if let id { field("id", id, to: &output) }
    if let name { field("event", name, to: &output) }
    appendData(data, to: &output)
    output.append(lineFeed)
  }

  /// Appends what is no event and changes where a client that comes back goes on, or when.
  static func append(id: String?, retryMs: Int?, to output: inout [UInt8]) {
    if let retryMs { field("retry", String(retryMs), to: &output) }
    if let id { field("id", id, to: &output) }
    output.append(lineFeed)
  }

  /// Where each event in `bytes` ends: behind its empty line.
  static func ends(_ bytes: borrowing Span<UInt8>) -> [Int] {
    var ends: [Int] = []
    var isLineEmpty = false
    for index in bytes.indices {
      let isEnd = bytes[index] == lineFeed
      if isEnd, isLineEmpty { ends.append(index + 1) }
      isLineEmpty = isEnd
    }
    return ends.last == bytes.count ? ends : ends + [bytes.count]
  }

  static func appendID(_ id: String, to output: inout [UInt8]) { field("id", id, to: &output) }

  static func appendID(_ id: [UInt8], to output: inout [UInt8]) {
    output.append(contentsOf: "id: ".utf8)
    output.append(contentsOf: id)
    output.append(lineFeed)
  }

  /// A `data` line for each line of `data`, however it ends: CR, LF or both (§9.2.6). A client
  /// joins them with LF, so line ends come out as LF.
  static func appendData(_ data: [UInt8], to output: inout [UInt8]) {
    var start = 0
    while true {
      let end = lineEnd(data, from: start)
      output.append(contentsOf: "data: ".utf8)
      output.append(contentsOf: data[start..<end])
      output.append(lineFeed)
      guard end < data.count else { return }
      let isPair = data[end] == carriageReturn && end + 1 < data.count && data[end + 1] == lineFeed
      start = end + (isPair ? 2 : 1)
    }
  }

  private static func lineEnd(_ data: [UInt8], from start: Int) -> Int {
    var index = start
    while index < data.count, data[index] != lineFeed, data[index] != carriageReturn { index += 1 }
    return index
  }

  private static func field(_ name: String, _ value: String, to output: inout [UInt8]) {
    output.append(contentsOf: name.utf8)
    output.append(contentsOf: ": ".utf8)
    output.append(contentsOf: value.utf8)
    output.append(lineFeed)
  }

  private static let lineFeed = UInt8(ascii: "\n")
  private static let carriageReturn = UInt8(ascii: "\r")
}

/// Writes JSON values one a line (`application/x-ndjson`). Pure.
enum JSONLines {
  static let contentType = "application/x-ndjson"
  /// An empty line, which readers of this form pass over.
  static let heartbeat: [UInt8] = [10]

  /// Appends valid JSON as one line. What ends a line inside it can only be blank space between
  /// its tokens (RFC 8259 §2), so a blank takes its place.
  static func append(_ json: [UInt8], to output: inout [UInt8]) {
    let start = output.count
    output.append(contentsOf: json)
    for index in start..<output.count where output[index] == 10 || output[index] == 13 {
      output[index] = 32
    }
    output.append(10)
  }
}
