import Bytes
import Crypto
import Platform
import Testing

@testable import EventStoreCore

/// A vault in a directory of its own, which is removed with it.
private final class Vault {
  let root: FilePath
  var freeBytes: UInt64 = 1 << 40
  private(set) lazy var files = ArtifactFiles(root) { [unowned self] _ throws(SystemError) in
    FileSystemRoom(freeBytes: freeBytes, allBytes: 1 << 40)
  }
  private var lastID: UInt64 = 0

  init() throws {
    root = FilePath(try StoreFiles.makeTemporaryDirectory(under: "/tmp"))
    try Files.makeDirectories(root.appending("tmp"))
  }

  deinit {
    for folder in (try? Files.list(root)) ?? [] {
      for name in (try? Files.list(root.appending(folder))) ?? [] {
        try? Files.remove(root.appending(folder).appending(name))
      }
      try? Files.removeDirectory(root.appending(folder))
    }
    try? Files.removeDirectory(root)
  }

  /// Another process with the same files.
  func restart() { files = ArtifactFiles(root) }

  func path(_ content: [UInt8], _ suffix: String = "") -> FilePath {
    let text = hex(SHA256.digest(content))
    return root.appending(String(text.prefix(2))).appending(String(text.dropFirst(2)) + suffix)
  }

  /// Begins to store; nil where it was refused.
  func begin(_ content: [UInt8]) -> (id: UInt64, isStored: Bool)? {
    lastID += 1
    let job = ArtifactThread.Job.begin(
      lastID, sha256: SHA256.digest(content), size: UInt64(content.count))
    guard case .ready(let id, let isStored) = files.carryOut(job) else { return nil }
    return (id, isStored)
  }

  /// Whether bytes were sent and taken; false: it was there already.
  func store(_ content: [UInt8]) throws -> Bool {
    let begun = try #require(begin(content))
    guard !begun.isStored else { return false }
    _ = files.carryOut(.write(begun.id, content))
    guard case .stored = files.carryOut(.finish(begun.id)) else {
      Issue.record("not stored")
      return false
    }
    return true
  }

  /// What a reader gets in pieces of `step`, and whether it came to its end.
  func read(_ content: [UInt8], _ range: Range<Int>, step: Int) -> (bytes: [UInt8], isWhole: Bool) {
    lastID += 1
    defer { _ = files.carryOut(.cancel(lastID)) }
    var got: [UInt8] = []
    while got.count < range.count {
      let job = ArtifactThread.Job.read(
        lastID, sha256: SHA256.digest(content), offset: UInt64(range.lowerBound + got.count),
        count: min(step, range.count - got.count), end: UInt64(range.upperBound))
      guard case .content(_, _, let bytes) = files.carryOut(job), !bytes.isEmpty else {
        return (got, false)
      }
      got += bytes
    }
    return (got, true)
  }

  func isFound(_ content: [UInt8]) -> Bool {
    lastID += 1
    if case .found(_, .some, _) = files.carryOut(.find(lastID, sha256: SHA256.digest(content))) {
      return true
    }
    return false
  }

  /// Changes one byte where the content lies; the file keeps its size.
  func flip(_ content: [UInt8], at offset: Int) throws {
    var changed = content
    changed[offset] ^= 1
    try Files.replace(path(content), with: changed)
  }
}

struct ArtifactContentTests {
  private let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

  @Test func whatIsStoredIsReadWholeAndInPart() throws {
    let vault = try Vault()
    #expect(try vault.store(content))
    #expect(try !vault.store(content), "it was seen whole a moment ago")
    #expect(vault.read(content, 0..<200_000, step: 70_000) == (content, true))
    for part in [0..<1, 65_535..<65_537, 1..<199_999, 199_999..<200_000, 131_072..<200_000] {
      #expect(vault.read(content, part, step: 50_000) == (Array(content[part]), true), "\(part)")
    }
  }

  /// The client must not get the last byte of what is not the content it asked for.
  @Test(arguments: [0, 65_536, 199_999]) func aDamagedContentIsNotGivenWholeAndIsPutAside(at: Int)
    throws
  {
    let vault = try Vault()
    _ = try vault.store(content)
    try vault.flip(content, at: at)
    let (bytes, isWhole) = vault.read(content, 0..<200_000, step: 70_000)
    #expect(!isWhole && bytes.count < content.count)
    #expect(!vault.isFound(content))
    #expect(try Files.status(vault.path(content, ".damaged")).bytes == 200_000)
  }

  @Test func aPartIsCheckedByItsBlocksAlone() throws {
    let vault = try Vault()
    _ = try vault.store(content)
    try vault.flip(content, at: 70_000)
    #expect(vault.read(content, 131_072..<200_000, step: 1 << 18).isWhole, "another block")
    #expect(vault.isFound(content))
    let (bytes, isWhole) = vault.read(content, 65_540..<65_550, step: 10)
    #expect(bytes.isEmpty && !isWhole)
    #expect(!vault.isFound(content))
  }

  @Test func aContentOfAnotherSizeIsNotThere() throws {
    let vault = try Vault()
    _ = try vault.store(content)
    try Files.replace(vault.path(content), with: Array(content[..<100_000]))
    #expect(!vault.isFound(content))
    #expect(try vault.store(content))
    #expect(vault.read(content, 0..<200_000, step: 1 << 18) == (content, true))
    try Files.replace(vault.path(content), with: Array(content[..<100_000]))
    #expect(!vault.read(content, 10..<20, step: 10).isWhole)
    #expect(!vault.isFound(content))
  }

  @Test func anUploadHealsWhatIsDamagedThoughTheSizeIsRight() throws {
    let vault = try Vault()
    _ = try vault.store(content)
    try vault.flip(content, at: 5)
    #expect(try vault.store(content), "not acknowledged without its bytes")
    #expect(vault.read(content, 0..<200_000, step: 1 << 18) == (content, true))
  }

  @Test func afterARestartAContentIsTakenAgainUntilItWasSeenWhole() throws {
    let vault = try Vault()
    _ = try vault.store(content)
    vault.restart()
    #expect(vault.begin(content)?.isStored == false)
    _ = vault.read(content, 0..<200_000, step: 1 << 18)
    #expect(vault.begin(content)?.isStored == true)
  }

  @Test func aContentFromBeforeThereWereSumsGetsThemWhenItIsReadWhole() throws {
    let vault = try Vault()
    _ = try vault.store(content)
    let sums = try Files.read(vault.path(content, ".sums"), bytesMax: 4096)
    try Files.remove(vault.path(content, ".sums"))
    #expect(vault.read(content, 10..<20, step: 10) == (Array(content[10..<20]), true))
    _ = vault.read(content, 0..<200_000, step: 1 << 18)
    #expect(try Files.read(vault.path(content, ".sums"), bytesMax: 4096) == sums)
  }

  @Test func anEmptyContentIsStoredAndFound() throws {
    let vault = try Vault()
    #expect(try vault.store([]))
    #expect(vault.isFound([]))
  }

  /// Refused before its first byte: one that is too large fills no disk before it fails.
  @Test func aContentThatHasNoRoomIsRefusedAtOnce() throws {
    let vault = try Vault()
    vault.freeBytes = VaultRoom.keptBytesMax + 300_000
    let first = try #require(vault.begin(content))
    #expect(!first.isStored)
    #expect(vault.begin([UInt8](repeating: 1, count: 200_000)) == nil, "the first is owed its room")
    _ = vault.files.carryOut(.cancel(first.id))
    #expect(vault.begin([UInt8](repeating: 1, count: 200_000)) != nil)
  }

  @Test func aSmallDiskKeepsASixteenthForEvents() {
    func admits(_ size: UInt64, free: UInt64, all: UInt64) -> Bool {
      VaultRoom.admits(size, owed: 0, FileSystemRoom(freeBytes: free, allBytes: all))
    }
    #expect(admits(60, free: 100, all: 640) && !admits(61, free: 100, all: 640))
    #expect(!admits(0, free: 39, all: 640))
    #expect(!admits(.max, free: .max, all: .max))
  }
}

struct ContentSumsTests {
  @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 131_072, 300_001])
  func whatIsWrittenIsReadBackAndEveryCutAndFlipOfItRefused(count: Int) throws {
    let content = [UInt8](repeating: 7, count: count)
    var sums = ContentSums()
    for start in stride(from: 0, to: count, by: 1_000) {
      sums.update(Array(content[start..<min(start + 1_000, count)]))
    }
    var atOnce = ContentSums()
    atOnce.update(content)
    #expect(sums == atOnce)
    let encoded = sums.encoded
    #expect(ContentSums(encoded: encoded) == sums)
    #expect(sums.match(content, at: 0))
    for cut in 0..<encoded.count {
      #expect(ContentSums(encoded: Array(encoded[..<cut])) == nil)
      var flipped = encoded
      flipped[cut] ^= 0x10
      #expect(ContentSums(encoded: flipped) == nil)
    }
    #expect(ContentSums(encoded: encoded + [0]) == nil)
  }

  @Test func theBlocksAroundAPartStayWithinTheContent() {
    var sums = ContentSums()
    sums.update([UInt8](repeating: 1, count: 100_000))
    #expect(sums.blocks(around: 0, count: 1) == 0..<65_536)
    #expect(sums.blocks(around: 65_535, count: 2) == 0..<100_000)
    #expect(sums.blocks(around: 65_536, count: .max) == 65_536..<100_000)
    #expect(sums.blocks(around: .max, count: .max).upperBound <= 100_000)
    #expect(!sums.match([UInt8](repeating: 2, count: 100), at: 65_536))
    #expect(!sums.match([1], at: .max))
  }
}
