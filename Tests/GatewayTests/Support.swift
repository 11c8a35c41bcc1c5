import Bytes
import HTTPCodec
import Platform
import Testing

@testable import GatewayCore

func channel(_ text: String) -> ChannelName {
  guard let name = ChannelName(text) else { preconditionFailure("\(text) is no channel") }
  return name
}

func position(_ epoch: String, _ offset: UInt64) -> Position {
  guard let epoch = Epoch(epoch) else { preconditionFailure("\(epoch) is no epoch") }
  return Position(epoch: epoch, offset: Offset(offset))
}

/// The head that `text` is.
func requestHead(_ text: String) throws -> HTTPRequestHead {
  var reader = HTTPRequestReader()
  var offset = 0
  let bytes = [UInt8](text.utf8)
  return try #require(try reader.next(bytes.span, from: &offset))
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// A directory for one test, removed with its files when the value goes.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = "/tmp/sapphire-test-\(Syscalls.processID)-\(UInt64.random(in: 0...(.max)))"
    try Files.makeDirectories(FilePath(path))
  }

  deinit {
    for name in (try? Files.list(FilePath(path))) ?? [] {
      try? Files.remove(FilePath(path).appending(name))
    }
    try? Files.removeDirectory(FilePath(path))
  }
}
