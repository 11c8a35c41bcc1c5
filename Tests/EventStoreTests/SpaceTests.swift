import Bytes
import Glibc
import Testing
import Wire

@testable import EventStoreCore

/// A file system of a few megabytes in memory; nil where this process may not mount one.
private final class SmallDisk {
  let path: String

  init?(megabytes: Int) {
    guard let made = try? StoreFiles.makeTemporaryDirectory(under: "/tmp") else { return nil }
    path = made
    guard unsafe mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
      StoreFiles.removeDirectory(path)
      return nil
    }
  }

  deinit {
    _ = unsafe umount2(path, 2)
    StoreFiles.removeDirectory(path)
  }

  private static let isAllowed = SmallDisk(megabytes: 1) != nil
  static var isPossible: Bool { isAllowed }
}

struct SpaceTests {
  private let block = [UInt8](repeating: 1, count: 64 << 10)

  private func large(_ number: Int) -> AppendRequest {
    AppendRequest(to: name("a"), [NewEvent(payload: Payload(.binary, block))], time: Int64(number))
  }

  // Rows 10 and 11.
  @Test(.enabled(if: SmallDisk.isPossible, "mounting a tmpfs is not permitted here"))
  func fullDiskRefusesAppendsServesReadsAndRecovers() throws {
    let disk = try #require(SmallDisk(megabytes: 12))
    let temporary = try TemporaryStore(under: disk.path)
    var store: EventStore? = try temporary.open()
    let reader = try StoreReader(of: store!)
    var accepted: UInt64 = 0
    var refusals = 0
    let ballast = try StoreFile(path: temporary.path("ballast"))
    try ballast.write([UInt8](repeating: 0, count: 4 << 20), at: 0)
    for number in 0..<400 where refusals < 20 {
      switch try store!.append(large(number), temporary) {
      case .committed(let receipt):
        accepted += 1
        #expect(receipt.last.value == accepted)
      case .outOfSpace: refusals += 1
      default: Issue.record("neither stored nor refused")
      }
      try store!.maintain(at: temporary.now)
    }
    #expect(refusals == 20 && accepted > 10)
    #expect(try reader.read(name("a"), from: Offset(accepted - 1)).offsets == [accepted])
    try ballast.truncate(to: 0)
    #expect(try store!.append(large(1_000), temporary).receipt?.last.value == accepted + 1)
    #expect(try store!.append(large(1_001), temporary).receipt?.last.value == accepted + 2)
    store = nil
    store = try temporary.open()
    #expect(store?.position == Int64(accepted) + 2)
  }
}
