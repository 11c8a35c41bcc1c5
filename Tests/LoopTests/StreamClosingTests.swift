import Loop
import Platform
import Testing

@Suite struct StreamClosingTests {
  @Test func theEndIsToldAtTheEndOfTheTurnNotInTheCall() throws {
    let wired = try Wired()
    var wasTold: Bool?
    wired.loop.at(wired.loop.now) {
      wired.stream.close()
      wasTold = wired.owner.end != nil
    }
    settle(wired.loop)
    #expect(wasTold == false)
    #expect(wired.owner.end == .closedHere)
    wired.stream.close()
    wired.stream.abort()
    settle(wired.loop)
    #expect(wired.owner.ends == 1)
  }

  @Test func anOwnerMayCloseWhileItReceives() throws {
    let wired = try Wired()
    wired.owner.takes = { _ in 1 }
    wired.owner.onReceived = { $0.close() }
    wired.peerSends([1, 2, 3])
    turn(wired.loop, "the end") { wired.owner.end != nil }
    #expect(wired.owner.received == [1])
    #expect(wired.owner.calls == 1)
    #expect(wired.owner.end == .closedHere)
  }

  @Test func anOwnerMayCloseWhenItIsDrained() throws {
    let wired = try Wired(sendBuffer: 4_096)
    wired.owner.onDrained = { $0.close() }
    wired.peerSends([1])
    wired.stream.send([UInt8](repeating: 1, count: 200_000))
    #expect(wired.peerReceives(200_000).count == 200_000)
    turn(wired.loop, "the end") { wired.owner.end != nil }
    #expect(wired.owner.ends == 1)
  }

  @Test func anOwnerMayCloseAnotherStreamThatIsReady() throws {
    let first = try Wired()
    var pair = try Sockets.pair()
    var here = Descriptor(owning: -1)
    var there = Descriptor(owning: -1)
    swap(&here, &pair.first)
    swap(&there, &pair.second)
    let other = Stream(here, on: first.loop)
    let otherOwner = Recorder()
    try other.start(otherOwner)
    first.owner.onReceived = { _ in other.close() }
    otherOwner.onReceived = { _ in first.stream.close() }
    first.peerSends([1])
    #expect(Syscalls.send(there, [1], from: 0) == .count(1))
    settle(first.loop)
    #expect(first.owner.calls + otherOwner.calls == 1)
    #expect(first.owner.ends + otherOwner.ends == 1)
  }

  @Test func anOwnerMaySendFromItsEndWithoutEffect() throws {
    let wired = try Wired()
    wired.owner.onEnded = {
      $0.send([1])
      $0.sendShared([2])
      $0.closeAfterWriting()
      $0.pauseReading()
      $0.resumeReading()
      $0.close()
    }
    wired.stream.close()
    settle(wired.loop)
    #expect(wired.owner.ends == 1)
    #expect(wired.peerReads() == nil)
  }

  @Test func aStreamThatEndedIsFreed() throws {
    var pair = try Sockets.pair()
    var here = Descriptor(owning: -1)
    swap(&here, &pair.first)
    let loop = try EventLoop()
    let owner = Recorder()
    var stream: Stream? = Stream(here, on: loop)
    try stream?.start(owner)
    weak let seen = stream
    stream?.close()
    stream = nil
    settle(loop)
    #expect(seen == nil)
    #expect(owner.ends == 1)
  }

  @Test func anAbortedTCPStreamResetsItsPeer() throws {
    let loop = try EventLoop()
    let listening = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let address = try Sockets.localAddress(listening)
    let owner = Recorder()
    var streams: [Stream] = []
    let listener = try Listener(listening, address: address, on: loop) { descriptor, _ in
      streams.append(Stream(descriptor, on: loop))
      try? streams.last?.start(owner)
    }
    var client = Descriptor(owning: -1)
    let connector = Connector(to: address, on: loop, within: .seconds(5)) { descriptor, _ in
      client = descriptor ?? Descriptor(owning: -1)
    }
    turn(loop, "a connection") { client.isOpen && !streams.isEmpty }
    streams[0].abort()
    var outcome = IOOutcome.wouldBlock
    turn(loop, "the reset") {
      var buffer = [UInt8](repeating: 0, count: 8)
      outcome = Syscalls.receive(client, into: &buffer, at: 0)
      return outcome != .wouldBlock
    }
    #expect(outcome == .failed(104), "ECONNRESET")
    _ = connector
    listener.close()
  }
}
