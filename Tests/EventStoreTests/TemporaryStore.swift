import Bytes
import Glibc
import Wire

@testable import EventStoreCore

/// A directory for one test, removed with the value's last reference, and a clock that the test moves.
final class TemporaryStore {
  let directory: String
  var monotonic: Int64 = 1_000
  var wall: Int64 = 1_700_000_000_000
  var options = EventStore.Options()

  init(under parent: String = "/tmp") throws {
    directory = try StoreFiles.makeTemporaryDirectory(under: parent)
  }

  deinit {
    for name in [
      StoreSchema.fileName, StoreSchema.fileName + "-wal", StoreSchema.fileName + "-shm",
      StoreSchema.fileName + "-journal", HeadMarkFile.name, StoreLock.name, "ballast",
      StoreMigration.keptName(1),
    ] {
      try? StoreFiles.remove("\(directory)/\(name)")
    }
    try? StoreMigration.removeLeftovers(in: directory)
    StoreFiles.removeDirectory(directory)
  }

  var now: StoreInstant { StoreInstant(monotonic: monotonic, wall: wall) }

  func open() throws(StoreFailure) -> EventStore {
    try EventStore(directory: directory, options: options, now: now)
  }

  /// Moves both clocks.
  func pass(milliseconds: Int64) {
    monotonic += milliseconds
    wall += milliseconds
  }

  func path(_ name: String) -> String { "\(directory)/\(name)" }
  var database: String { path(StoreSchema.fileName) }
  var log: String { path(StoreSchema.fileName + "-wal") }
  var mark: String { path(HeadMarkFile.name) }

  /// The files as a power failure would leave them now, in a directory of their own. Everything that
  /// was written counts as synced.
  func image(under parent: String = "/tmp") throws -> TemporaryStore {
    let image = try TemporaryStore(under: parent)
    image.monotonic = 5
    image.wall = wall
    image.options = options
    for name in [StoreSchema.fileName, StoreSchema.fileName + "-wal", HeadMarkFile.name] {
      _ = try StoreFiles.copy(path(name), to: image.path(name))
    }
    return image
  }

  func bytes(_ path: String) throws -> [UInt8] {
    guard let file = try StoreFile(existing: path) else { return [] }
    return try file.read(at: 0, count: 64 << 20)
  }

  /// Changes bits of one byte of a file.
  func flip(_ path: String, at offset: Int, mask: UInt8 = 1) throws {
    let file = try StoreFile(path: path)
    let byte = try file.read(at: offset, count: 1)
    try file.write([byte[0] ^ mask], at: offset)
  }

  func truncate(_ path: String, to count: Int) throws {
    try StoreFile(path: path).truncate(to: count)
  }
}

extension EventStore.Options {
  /// Has so many bytes of events wait for their segments, and the log swept as soon as it may be.
  mutating func keepInTail(_ bytes: Int) {
    tailBytes = bytes
    sweptEvents = bytes == 0 ? 1 : 3
  }
}

extension EventStore {
  /// Commits one request and gives its outcome.
  func append(_ request: AppendRequest, _ temporary: TemporaryStore) throws(StoreFailure)
    -> AppendOutcome
  {
    try commit([request], at: temporary.now)[0]
  }
}

extension AppendOutcome {
  var receipt: AppendReceipt? {
    if case .committed(let receipt) = self { receipt } else { nil }
  }
}

func name(_ text: String) -> ChannelName { ChannelName(text)! }

func request(
  _ stream: String, _ texts: String..., expected: UInt64? = nil, key: String? = nil
) -> AppendRequest {
  AppendRequest(
    to: name(stream), texts.map { NewEvent(payload: Payload(text: $0)) },
    expected: expected.map { Offset($0) }, idempotencyKey: key, time: 1_700_000_000_000)
}

extension EventPage {
  var texts: [String] { events.map { String(decoding: $0.payload.bytes, as: UTF8.self) } }
  var offsets: [UInt64] { events.map(\.offset.value) }
}

extension EncodedPage {
  var texts: [String] { decoded?.texts ?? [] }
}
