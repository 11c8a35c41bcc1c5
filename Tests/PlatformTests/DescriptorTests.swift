import Platform
import Testing

@Suite struct DescriptorTests {
  @Test func aPairCarriesBytesBothWays() throws {
    let pair = try Sockets.pair()
    var buffer = [UInt8](repeating: 0, count: 8)
    #expect(Syscalls.receive(pair.first, into: &buffer, at: 0) == .wouldBlock)
    #expect(Syscalls.send(pair.first, [0, 1, 2, 3], from: 1) == .count(3))
    #expect(Syscalls.receive(pair.second, into: &buffer, at: 5) == .count(3))
    #expect(buffer == [0, 0, 0, 0, 0, 1, 2, 3])
    #expect(Syscalls.send(pair.second, [7, 8], from: 0, limit: 1) == .count(1))
    #expect(Syscalls.receive(pair.first, into: &buffer, at: 0) == .count(1))
  }

  @Test func whatLiesOutsideABufferIsNotTouched() throws {
    let pair = try Sockets.pair()
    var buffer: [UInt8] = [1, 2]
    #expect(Syscalls.send(pair.first, [9], from: 1) == .count(0))
    #expect(Syscalls.send(pair.first, [9], from: -1) == .count(0))
    #expect(Syscalls.send(pair.first, [9], from: 2) == .count(0))
    #expect(Syscalls.send(pair.first, [9], from: 0) == .count(1))
    for offset in [-1, 2, 3] {
      guard case .failed = Syscalls.receive(pair.second, into: &buffer, at: offset) else {
        Issue.record("a read at \(offset) was let through")
        continue
      }
    }
    #expect(buffer == [1, 2])
  }

  @Test func closingOneEndIsTheEndOfTheOther() throws {
    var pair = try Sockets.pair()
    var buffer: [UInt8] = [0]
    pair.first.close()
    pair.first.close()
    let isOpen = pair.first.isOpen
    #expect(!isOpen)
    #expect(Syscalls.receive(pair.second, into: &buffer, at: 0) == .endOfStream)
    #expect(Syscalls.send(pair.second, [1], from: 0) == .failed(32), "EPIPE, and no signal")
  }

  @Test func aDescriptorIsClosedWithItsOwner() throws {
    var pair = try Sockets.pair()
    func drop() {
      var owner = Descriptor(owning: -1)
      swap(&owner, &pair.first)
    }
    drop()
    var buffer: [UInt8] = [0]
    #expect(Syscalls.receive(pair.second, into: &buffer, at: 0) == .endOfStream)
  }

  @Test func aPipeCarriesBytesAndEnds() throws {
    var pipe = try Syscalls.makePipe()
    var buffer = [UInt8](repeating: 0, count: 4)
    #expect(Syscalls.write(pipe.writing, [1, 2, 3], from: 1) == .count(2))
    #expect(Syscalls.read(pipe.reading, into: &buffer, at: 1) == .count(2))
    #expect(buffer == [0, 2, 3, 0])
    pipe.writing.close()
    #expect(Syscalls.read(pipe.reading, into: &buffer) == .endOfStream)
  }

  @Test func anEventIsClearedByReadingIt() throws {
    let event = try Syscalls.makeEventDescriptor()
    var buffer = [UInt8](repeating: 0, count: 8)
    Syscalls.signal(event: event)
    Syscalls.signal(event: event)
    Syscalls.clear(event: event)
    #expect(Syscalls.read(event, into: &buffer) == .wouldBlock)
  }

  @Test func anErrorNamesItsCallAndReason() {
    let error = SystemError(code: 2, call: "bind", subject: "unix:/x")
    #expect(error.description == "bind unix:/x: No such file or directory")
    #expect(error.isNotFound)
    #expect(SystemError(code: 111, call: "connect").isConnectionRefused)
    #expect(SystemError(code: 9_999, call: "x").description.hasPrefix("x: "))
  }

  @Test func aThreadRunsItsBodyAndIsJoined() throws {
    let pair = try Syscalls.makePipe()
    let number = pair.writing.number
    let thread = try RunningThread(name: "a-name-that-is-longer-than-fifteen") {
      _ = Syscalls.write(number: number, [42])
    }
    thread.join()
    var buffer: [UInt8] = [0]
    #expect(Syscalls.read(pair.reading, into: &buffer) == .count(1))
    #expect(buffer == [42])
    _ = consume pair
  }
}
