import Bytes

private struct Written {
  var bytes: [UInt8] = []
  var events: [Event] = []
  var lastID: [UInt8] = []
  var retry: Int?
}

private struct Event: Equatable {
  var name: [UInt8]
  var data: [UInt8]
  var id: [UInt8]
}

/// What the writer of event streams makes of any data, as a browser reads it: each event whole,
/// none more, whatever the data holds and however the bytes arrive. Lines likewise.
func fuzzEventStream(_ input: [UInt8]) {
  let written = write(input)
  let read = requireSplitInvariance(written.bytes) { [Reader(reading: $0)] }[0]
  require(read.events == written.events, "read \(read.events), written \(written.events)")
  require(read.lastID == written.lastID && read.retry == written.retry, "another place or time")
  require(read.isBetweenEvents, "the last event has not ended")
  fuzzLines(input)
}

/// The input is a list of events: a byte that says what comes, one that says how long its data is,
/// the data.
private func write(_ input: [UInt8]) -> Written {
  var written = Written()
  var offset = 0
  while offset + 2 <= input.count {
    let (kind, count) = (input[offset], Int(input[offset + 1]))
    let end = min(input.count, offset + 2 + count)
    let data = Array(input[(offset + 2)..<end])
    offset = end
    let id = kind & 4 == 0 ? nil : base64URL([kind] + data.prefix(8))
    let name = kind & 8 == 0 ? nil : "binary"
    let retry = kind & 16 == 0 ? nil : Int(kind) * 10
    switch kind & 3 {
    case 0:
      written.bytes += EventStream.heartbeat
      continue
    case 1: EventStream.append(id: id, retryMs: retry, to: &written.bytes)
    case 2:
      EventStream.append(id: id, name: name, retryMs: retry, data: data, to: &written.bytes)
    default:
      // As a carrier does whose client has an id of its own.
      EventStream.appendID(id ?? "", to: &written.bytes)
      EventStream.append(data: data, to: &written.bytes)
    }
    if kind & 3 == 3 { written.lastID = Array((id ?? "").utf8) } else {
      if let id { written.lastID = Array(id.utf8) }
      if let retry { written.retry = retry }
    }
    guard kind & 3 != 1 else { continue }
    written.events.append(
      Event(
        name: Array((kind & 3 == 2 ? name ?? "message" : "message").utf8), data: joined(data),
        id: written.lastID))
  }
  return written
}

/// Every line end as one LF.
private func joined(_ data: [UInt8]) -> [UInt8] {
  var joined: [UInt8] = []
  for (index, byte) in data.enumerated() {
    if byte == 10, index > 0, data[index - 1] == 13 { continue }
    joined.append(byte == 13 ? 10 : byte)
  }
  return joined
}

/// WHATWG HTML §9.2.6, byte by byte; nothing of it is the writer's.
private struct Reader: Equatable {
  var events: [Event] = []
  var lastID: [UInt8] = []
  var retry: Int?
  private var name: [UInt8] = []
  private var data: [UInt8] = []
  private var line: [UInt8] = []
  private var wasReturn = false

  var isBetweenEvents: Bool { line.isEmpty && data.isEmpty && name.isEmpty }

  init(reading segments: [[UInt8]]) {
    for byte in segments.joined() {
      if byte == 10, wasReturn {
        wasReturn = false
        continue
      }
      wasReturn = byte == 13
      if byte == 10 || byte == 13 { endLine() } else { line.append(byte) }
    }
  }

  private mutating func endLine() {
    defer { line = [] }
    guard !line.isEmpty else { return dispatch() }
    let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
    guard colon > 0 else { return }
    var value = line[min(colon + 1, line.endIndex)...]
    if value.first == 32 { value = value.dropFirst() }
    switch String(decoding: line[..<colon], as: UTF8.self) {
    case "event": name = Array(value)
    case "data": data += value + [10]
    case "id": if !value.contains(0) { lastID = Array(value) }
    case "retry": retry = Int(String(decoding: value, as: UTF8.self))
    default: require(false, "a field that nobody knows: \(line)")
    }
  }

  private mutating func dispatch() {
    defer { (name, data) = ([], []) }
    guard !data.isEmpty else { return }
    events.append(
      Event(name: name.isEmpty ? Array("message".utf8) : name, data: data.dropLast(), id: lastID))
  }
}

/// A value is one line, of the same length, and its other bytes are its own.
private func fuzzLines(_ input: [UInt8]) {
  var output: [UInt8] = [1]
  JSONLines.append(input, to: &output)
  require(output.count == input.count + 2 && output.first == 1 && output.last == 10, "not a line")
  for (byte, written) in zip(input, output.dropFirst()) {
    require(written == (byte == 10 || byte == 13 ? 32 : byte), "a byte has changed")
  }
}
