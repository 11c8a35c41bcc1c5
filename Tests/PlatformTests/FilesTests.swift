import Platform
import Testing

@Suite struct FilesTests {
  private let directory: TemporaryDirectory
  init() throws { directory = try TemporaryDirectory() }

  @Test func whatIsReplacedIsReadBackWithItsMode() throws {
    let path = directory("file")
    try Files.replace(path, with: [1, 2, 3], mode: 0o600, durability: .synced)
    try Files.replace(path, with: [4], mode: 0o600)
    #expect(try Files.read(path, bytesMax: 1) == [4])
    #expect(try Files.status(path).mode == 0o600)
    #expect(try Files.list(directory.path) == [[UInt8]("file".utf8)])
  }

  @Test func aFileOverTheBoundIsNotRead() throws {
    try Files.replace(directory("file"), with: [1, 2, 3])
    #expect(throws: SystemError.self) { _ = try Files.read(directory("file"), bytesMax: 2) }
  }

  @Test func creatingWhatExistsIsRefusedAndLeavesItAsItIs() throws {
    try Files.create(directory("file"), content: [1])
    #expect(throws: SystemError.self) { try Files.create(directory("file"), content: [2]) }
    #expect(try Files.read(directory("file"), bytesMax: 9) == [1])
  }

  @Test func makesDirectoriesWithThoseAboveThem() throws {
    let deep = directory("a/b/c")
    try Files.makeDirectories(deep, mode: 0o700)
    try Files.makeDirectories(deep, mode: 0o700)
    #expect(try Files.status(deep).kind == .directory)
    try Files.replace(directory("file"), with: [])
    #expect(throws: SystemError.self) { try Files.makeDirectories(directory("file")) }
  }

  /// There every name is refused with ENOENT, though the directory above it exists.
  @Test func aDirectoryThatCanNotBeMadeIsRefusedInsteadOfTriedForEver() {
    #expect(throws: SystemError.self) { try Files.makeDirectories("/proc/nothing/x") }
    #expect(throws: SystemError.self) { try Files.makeDirectories("/proc/nothing") }
  }

  @Test func theRoomOfAFileSystemIsToldAndLinksAreCounted() throws {
    let room = try Files.room(at: directory.path)
    #expect(room.allBytes > 0 && room.freeBytes <= room.allBytes)
    try Files.replace(directory("file"), with: [1])
    #expect(try Files.status(directory("file")).linkCount == 1)
  }

  @Test func removingWhatIsNotThereIsNoError() throws {
    try Files.remove(directory("nothing"))
  }

  @Test func aLockIsHeldUntilItsDescriptorGoes() throws {
    let path = directory("lock")
    do {
      guard let held = try Files.lock(path) else {
        Issue.record("nobody holds the lock")
        return
      }
      #expect(try Files.lock(path) == nil)
      _ = held.isOpen
    }
    #expect(try Files.lock(path) != nil)
  }

  @Test func namesNeedNotBeUTF8() throws {
    let name: [UInt8] = [0x61, 0xff, 0x62]
    try Files.replace(directory.path.appending(name), with: [7])
    #expect(try Files.list(directory.path) == [name])
    #expect(directory.path.appending(name).text == nil)
  }

  @Test func pathsAreTakenApart() {
    #expect(FilePath("/a/b").parent == "/a")
    #expect(FilePath("/a").parent == "/")
    #expect(FilePath("a").parent == ".")
    #expect(FilePath("/a/b").lastComponent == [UInt8]("b".utf8))
    #expect(FilePath("/a/").appending("b") == "/a/b")
    #expect(FilePath(bytes: [97, 0, 98]) == "a")
  }

  @Test func aFileOpenForWritingIsSeen() throws {
    SignalReader.blockHandled()
    let path = directory("file")
    let writer = try Files.openForAppending(path)
    let reader = try Files.openForReading(path)
    // Where the file system knows no leases the answer is nil, never wrong.
    #expect(Files.hasWriter(reader) != false)
    try Files.writeAll([1], to: writer)
  }

  @Test func aFileThatNobodyWritesHasNoWriter() throws {
    SignalReader.blockHandled()
    let path = directory("file")
    try Files.replace(path, with: [1])
    #expect(Files.hasWriter(try Files.openForReading(path)) != true)
  }
}

@Suite struct DirectoryWatchTests {
  private let directory: TemporaryDirectory
  init() throws { directory = try TemporaryDirectory() }

  private func name(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

  @Test func tellsOfAFileOnceItIsClosed() throws {
    let watch = try DirectoryWatch()
    let id = try watch.add(directory.path)
    var writer = try Files.openForAppending(directory("file"))
    try Files.writeAll([1], to: writer)
    #expect(watch.next() == [.fileAppeared(id, name: name("file"))])
    writer.close()
    #expect(watch.next() == [.fileCompleted(id, name: name("file"))])
  }

  @Test func tellsOfAFileThatIsMovedIn() throws {
    try Files.makeDirectories(directory("in"))
    try Files.replace(directory("file"), with: [1])
    let watch = try DirectoryWatch()
    let id = try watch.add(directory("in"))
    try Files.rename(directory("file"), to: directory("in/moved"))
    #expect(watch.next() == [.fileCompleted(id, name: name("moved"))])
  }

  @Test func tellsOfNewDirectoriesAndOfTheEndOfOnesThatWent() throws {
    let watch = try DirectoryWatch()
    let id = try watch.add(directory.path)
    try Files.makeDirectories(directory("new"))
    #expect(watch.next() == [.directoryAppeared(id, name: name("new"))])
    let inner = try watch.add(directory("new"))
    try Files.removeDirectory(directory("new"))
    #expect(watch.next().contains(.ended(inner)))
  }

  @Test func aMovedDirectoryKeepsItsIdentity() throws {
    try Files.makeDirectories(directory("old"))
    let watch = try DirectoryWatch()
    let before = try watch.add(directory("old"))
    try Files.rename(directory("old"), to: directory("new"))
    #expect(try watch.add(directory("new")) == before)
    #expect(watch.next() == [.moved(before)])
  }

  @Test func aFileCantBeWatchedAsADirectory() throws {
    try Files.replace(directory("file"), with: [])
    let watch = try DirectoryWatch()
    #expect(throws: SystemError.self) { _ = try watch.add(directory("file")) }
  }
}
