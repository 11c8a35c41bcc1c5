// Writes the store of this folder. Compiled with the sources that README.md names, in place of
// Tests/Crash/Workload/main.swift. Usage: CrashWorkload DIRECTORY IMAGE, neither of which exists.
import Bytes
import Crypto
import EventStoreCore
import Glibc
import JSON
import Platform
import Wire

let arguments = CommandLine.arguments
let directory = arguments[1]
let image = arguments[2]
var now = StoreInstant(monotonic: 1_000, wall: 1_750_000_000_000)
var options = EventStore.Options()
var lines: [String] = []

func name(_ text: String) -> ChannelName { ChannelName(text)! }

func pass(_ milliseconds: Int64) {
  now.monotonic += milliseconds
  now.wall += milliseconds
}

func line(_ body: (inout JSONWriter) -> Void) {
  var writer = JSONWriter()
  writer.beginObject()
  body(&writer)
  writer.endObject()
  lines.append(String(decoding: writer.bytes, as: UTF8.self))
}

func open() throws -> EventStore {
  try EventStore(directory: directory, options: options, now: now)
}

@discardableResult
func commit(_ requests: AppendRequest..., to store: EventStore) throws -> [AppendReceipt] {
  let outcomes = try store.commit(requests, at: now)
  pass(7)
  return outcomes.map { outcome in
    guard case .committed(let receipt) = outcome else { preconditionFailure("\(outcome)") }
    return receipt
  }
}

func texts(
  _ stream: String, _ texts: [String], key: String? = nil, client: UInt64 = 0, user: String = ""
) -> AppendRequest {
  AppendRequest(
    to: name(stream), texts.map { NewEvent(payload: Payload(text: $0)) }, idempotencyKey: key,
    publisher: Publisher(client: client, user: user), time: now.wall)
}

/// An append with a key, and its line.
func keyed(_ stream: String, _ list: [String], _ key: String, isKept: Bool, _ store: EventStore)
  throws
{
  let time = now.wall
  let receipt = try commit(texts(stream, list, key: key), to: store)[0]
  line {
    $0.key("key")
    $0.string(key)
    $0.key("stream")
    $0.string(stream)
    $0.key("texts")
    $0.beginArray()
    for text in list { $0.string(text) }
    $0.endArray()
    $0.key("first")
    $0.uint(receipt.first.value)
    $0.key("time")
    $0.int(time)
    $0.key("kept")
    $0.bool(isKept)
  }
}

options.indexLag = 100
// Streams whose epochs were renewed.
do {
  let store = try open()
  for number in 1...30 {
    try commit(
      texts("old.a", ["a \(number)"], user: "ann"), texts("old.b", ["b \(number)", "more"]),
      to: store)
  }
  try keyed("old.a", ["kept over a loss"], "loss", isKept: true, store)
  try store.settle(at: now)
}
unlink("\(directory)/head.mark")
options.loss = .acceptWithNewEpochs
do { _ = try open() }
options.loss = .refuse

options.checkpointPages = 40

/// Numbers that are the same each time (xorshift64*).
struct Numbers: RandomNumberGenerator {
  var state: UInt64 = 0x2545_f491_4f6c_dd1d
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
}
var numbers = Numbers()

do {
  let store = try open()
  // Many streams in turns, some with long runs.
  for round in 1...60 {
    var batch: [AppendRequest] = []
    for _ in 0..<Int.random(in: 1...5, using: &numbers) {
      let stream = "board.\(Int.random(in: 1...9, using: &numbers))"
      let count = Int.random(in: 1...6, using: &numbers)
      batch.append(
        texts(
          stream, (0..<count).map { "round \(round), event \($0) of \(stream)" },
          client: UInt64(round)))
    }
    _ = try store.commit(batch, at: now)
    pass(100)
    if round % 10 == 0 { try store.maintain(at: now) }
  }
  // Every kind and every field.
  var kinds: [NewEvent] = [
    NewEvent(
      payload: Payload(json: #"{"x":[1,2.5,null,"ü"]}"#), eventType: "moved",
      meta: [0, 255, 10, 13]),
    NewEvent(payload: Payload(text: "")),
    NewEvent(payload: Payload(.binary, [])),
    NewEvent(
      payload: Payload(.binary, (0...255).map { UInt8($0) }),
      meta: [UInt8](repeating: 7, count: 300)),
    NewEvent(payload: Payload(.uncheckedText, [UInt8]("not { JSON".utf8)), eventType: "raw"),
  ]
  kinds.append(
    NewEvent(
      payload: Payload(.jsonWithParts, [UInt8](repeating: 1, count: 40)),
      eventType: String(repeating: "t", count: 255)))
  try commit(
    AppendRequest(
      to: name("kinds"), kinds, publisher: Publisher(client: .max, user: "Zoë – 北京"), time: now.wall
    ),
    AppendRequest(
      to: name("kinds"), kinds, publisher: Publisher(user: String(repeating: "u", count: 255)),
      time: -1),
    to: store)
  // Larger than a segment, with small ones around it.
  let large = [UInt8]((0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 1_000) })
  try commit(texts("large", ["before"]), to: store)
  try commit(
    AppendRequest(to: name("large"), [NewEvent(payload: Payload(.binary, large))], time: now.wall),
    to: store)
  try commit(texts("large", ["after"]), to: store)
  // More of one stream than a segment takes.
  let filler = String(repeating: "fill ", count: 60)
  for number in 0..<20 {
    try commit(texts("long", (0..<16).map { "\(number).\($0) \(filler)" }, user: "bob"), to: store)
  }
  try keyed("room.keys", ["kept 1"], "kept-1", isKept: true, store)
  try keyed("room.keys", ["kept 2", "kept 2 again", "and again"], "kept-2", isKept: true, store)
  try keyed("other.keys", ["kept elsewhere"], "kept-1", isKept: true, store)
  // Histories that were removed: one that goes on, and one that ends with its floor.
  for stream in ["board.1", "board.2", "long"] {
    _ = try store.removeHistory(of: name(stream), at: now)
  }
  try commit(texts("board.1", ["after the floor"]), texts("long", ["after the floor"]), to: store)
  try commit(texts("gone", ["1", "2", "3"]), to: store)
  _ = try store.removeHistory(of: name("gone"), at: now)
  try store.settle(at: now)
}

// Keys that have expired by the end, and were not removed yet.
options.keysKept = 1_000
do {
  let store = try open()
  try keyed("room.keys", ["short 1"], "short-1", isKept: false, store)
  try keyed("room.keys", ["short 2", "short 2 again"], "short-2", isKept: false, store)
  try store.settle(at: now)
}
pass(10_000)
options.keysKept = 24 * 3_600_000

// The last run, which ends without a word: its commits are in the write-ahead log, and its events in no
// index.
options.indexLag = 4_096
do {
  let store = try open()
  store.confirmAnnounced(through: store.position - 20, at: now)
  for number in 1...25 {
    try commit(
      texts("board.3", ["late \(number)"]), texts("board.4", ["late \(number)", "and more"]),
      texts("fresh.\(number % 3)", ["late \(number)"], user: "eve"), to: store)
  }
  try keyed("fresh.0", ["in the log"], "late", isKept: true, store)
  let reader = try StoreReader(of: store)
  var position: Int64 = 0
  while position < store.position {
    let page = try reader.unannounced(after: position)
    precondition(page.corruptCount == 0)
    position = page.through
    for announcement in page.announcements {
      let event = announcement.event
      line {
        $0.key("position")
        $0.int(announcement.position)
        $0.key("stream")
        $0.string(announcement.stream.text)
        $0.key("offset")
        $0.uint(event.offset.value)
        $0.key("time")
        $0.int(event.timeMs)
        $0.key("client")
        $0.string(String(event.publisher.client))
        $0.key("user")
        $0.string(event.publisher.user)
        $0.key("kind")
        $0.uint(UInt64(event.payload.kind.rawValue))
        $0.key("type")
        $0.string(event.eventType)
        $0.key("meta")
        $0.string(hex(event.meta))
        $0.key("bytes")
        $0.int(Int64(event.payload.bytes.count))
        $0.key("sha256")
        $0.string(hex(SHA256.digest(event.payload.bytes)))
      }
    }
  }
  for head in try reader.streams(limit: 1_024) {
    line {
      $0.key("stream")
      $0.string(head.name.text)
      $0.key("epoch")
      $0.string(head.epoch?.text ?? "")
      $0.key("floor")
      $0.uint(head.floor.value)
      $0.key("head")
      $0.uint(head.head.value)
    }
  }
  line {
    $0.key("commits")
    $0.uint(store.commits)
    $0.key("events")
    $0.int(store.position)
    $0.key("announced")
    $0.int(store.announced)
    $0.key("empty")
    $0.string(try! reader.head(of: name("never.begun")).epoch!.text)
    $0.key("wall")
    $0.int(now.wall)
  }
  mkdir(image, 0o700)
  func copy(_ file: String) {
    let source = fopen("\(directory)/\(file)", "r")!
    let target = fopen("\(image)/\(file)", "w")!
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&buffer, 1, buffer.count, source), count > 0 {
      fwrite(buffer, 1, count, target)
    }
    fclose(source)
    fclose(target)
  }
  for file in ["events.sqlite", "events.sqlite-wal", "head.mark"] { copy(file) }
  let target = fopen("\(image)/contents.jsonl", "w")!
  for line in lines { fputs(line + "\n", target) }
  fclose(target)
}
