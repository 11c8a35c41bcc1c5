internal import Bytes
internal import Crypto
internal import Platform

/// Looking at, reading and hashing the files of one directory. Blocks on the disk.
struct VaultFiles {
  let root: FilePath

  /// BUDGET: bytes of a file in memory at a time.
  static let pieceBytes = 128 * 1024

  func path(_ name: [UInt8]) -> FilePath { name.isEmpty ? root : root.appending(name) }

  func examine(_ name: [UInt8]) -> Examination {
    do throws(SystemError) {
      // Looked at by its link first: opening a pipe or a device could block or do something.
      guard try Files.linkStatus(path(name)).kind == .file else { return .gone }
      let descriptor = try Files.openForReading(path(name))
      if Files.hasWriter(descriptor) == true { return .beingWritten }
      return .file(try Self.version(descriptor))
    } catch {
      return error.isNotFound ? .gone : .unreadable(error.reason)
    }
  }

  /// The hash of the content, provided that it is `version` before and after.
  func hash(_ name: [UInt8], _ version: FileVersion) -> HashReading {
    do throws(SystemError) {
      let descriptor = try Files.openForReading(path(name))
      guard try Self.version(descriptor) == version else { return .changed }
      var digest = SHA256()
      var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
      reading: while true {
        switch Syscalls.read(descriptor, into: &buffer) {
        case .count(let count): digest.update(buffer.span.extracting(0..<count))
        case .endOfStream, .wouldBlock: break reading
        case .failed(let code): throw SystemError(code: code, call: "read")
        }
      }
      guard try Self.version(descriptor) == version else { return .changed }
      return .sha256(hex(digest.finish()))
    } catch {
      return error.isNotFound ? .changed : .unreadable(error.reason)
    }
  }

  /// Whether the file still is what it was.
  func isStill(_ name: [UInt8], _ version: FileVersion) -> Bool {
    guard let status = try? Files.linkStatus(path(name)), status.kind == .file else { return false }
    return Self.version(status) == version
  }

  static func version(_ status: FileStatus) -> FileVersion {
    FileVersion(
      modifiedNanoseconds: status.modifiedNanoseconds, bytes: status.bytes, inode: status.inode)
  }

  private static func version(_ descriptor: borrowing Descriptor) throws(SystemError) -> FileVersion
  {
    version(try Files.status(descriptor))
  }
}

/// A file's content in pieces, for a request's body.
final class FilePieces {
  private let descriptor: Descriptor
  private var buffer = [UInt8](repeating: 0, count: VaultFiles.pieceBytes)

  init(_ path: FilePath) throws(SystemError) { descriptor = try Files.openForReading(path) }

  /// The next bytes; nil at the end or when reading fails.
  func next() -> [UInt8]? {
    guard case .count(let count) = Syscalls.read(descriptor, into: &buffer) else { return nil }
    return Array(buffer[..<count])
  }
}
