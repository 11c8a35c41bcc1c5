import Platform
import Testing

@testable import EventStoreCore

struct ArtifactFilesTests {
  private let sha256 = [UInt8](repeating: 0xAB, count: 32)

  /// A vault in a directory of its own, which is removed afterwards.
  private func vault(_ body: (ArtifactFiles, FilePath) throws -> Void) throws {
    let root = try StoreFiles.makeTemporaryDirectory(under: "/tmp")
    let folder = FilePath(root).appending("ab")
    let list = folder.appending(String(repeating: "ab", count: 31) + ".streams")
    defer {
      try? Files.remove(list)
      StoreFiles.removeDirectory("\(folder)")
      StoreFiles.removeDirectory(root)
    }
    try body(ArtifactFiles(FilePath(root)), list)
  }

  private func index(_ files: ArtifactFiles, _ stream: String) -> ArtifactThread.Outcome? {
    files.carryOut(.index(sha256: sha256, stream: stream, position: 7))
  }

  @Test func everyStreamIsListedOnce() throws {
    try vault { files, list in
      for stream in ["a", "b", "a"] {
        guard case .indexed(7) = index(files, stream) else {
          Issue.record()
          return
        }
      }
      let content = try Files.read(list, bytesMax: 100)
      #expect(content == [UInt8]("a\nb\n".utf8))
    }
  }

  /// An unreadable list must not be taken for an empty one.
  @Test func aListThatCannotBeReadIsNotWrittenAnew() throws {
    try vault { files, list in
      guard case .indexed = index(files, "a") else {
        Issue.record()
        return
      }
      let tooLong = [UInt8](repeating: 120, count: 2 << 20)
      try Files.replace(list, with: tooLong, durability: .unsynced)
      guard case .indexFailed(7, let reason) = index(files, "b") else {
        Issue.record()
        return
      }
      #expect(!reason.isEmpty)
      let bytes = try Files.status(list).bytes
      #expect(bytes == Int64(tooLong.count))
    }
  }
}
