import Platform
import Testing

@testable import Loop

@Suite struct MailboxTests {
  @Test func messagesOfManyThreadsAllArriveInOrderPerThread() throws {
    let (threads, each) = (4, 5_000)
    let mailbox = try Mailbox<(thread: Int, number: Int)>()
    let loop = try EventLoop()
    var received = [[Int]](repeating: [], count: threads)
    let reader = try MailboxReader(mailbox, on: loop) { batch in
      for message in batch { received[message.thread].append(message.number) }
    }
    let running = try (0..<threads).map { thread in
      try HeldThread {
        for number in 0..<each { mailbox.post((thread, number)) }
      }
    }
    turn(loop, "all messages") { received.allSatisfy { $0.count == each } }
    #expect(received.allSatisfy { $0 == Array(0..<each) })
    for thread in running { thread.join() }
    reader.close()
  }

  @Test func manyPostsBeforeATurnAreOneBatch() throws {
    let mailbox = try Mailbox<Int>()
    let loop = try EventLoop()
    var batches: [[Int]] = []
    let reader = try MailboxReader(mailbox, on: loop) { batches.append($0) }
    for number in 0..<1_000 { mailbox.post(number) }
    loop.turn(waiting: .seconds(5))
    settle(loop)
    #expect(batches == [Array(0..<1_000)])
    reader.close()
  }

  @Test func aPostWakesASleepingLoop() throws {
    let mailbox = try Mailbox<Int>()
    let loop = try EventLoop()
    var received: [Int] = []
    let reader = try MailboxReader(mailbox, on: loop) {
      received += $0
      loop.stop()
    }
    let thread = try RunningThread(name: "poster") { mailbox.post(7) }
    loop.run()
    thread.join()
    #expect(received == [7])
    reader.close()
  }

  @Test func aFullBoxRefusesAndTakesAgainOnceRead() throws {
    let mailbox = try Mailbox<Int>(capacity: 3)
    let loop = try EventLoop()
    var received: [Int] = []
    let reader = try MailboxReader(mailbox, on: loop) { received += $0 }
    #expect((0..<3).map { mailbox.post($0) } == [.posted, .posted, .posted])
    #expect(mailbox.post(3) == .full)
    loop.turn(waiting: .seconds(5))
    #expect(received == [0, 1, 2])
    #expect(mailbox.post(4) == .posted)
    loop.turn(waiting: .seconds(5))
    #expect(received == [0, 1, 2, 4])
    reader.close()
  }

  @Test func aMessagePostedWhileABatchIsReadComesInTheNext() throws {
    let mailbox = try Mailbox<Int>()
    let loop = try EventLoop()
    var batches: [[Int]] = []
    let reader = try MailboxReader(mailbox, on: loop) { batch in
      batches.append(batch)
      if batch == [1] { mailbox.post(2) }
    }
    mailbox.post(1)
    turn(loop, "two batches") { batches.count == 2 }
    #expect(batches == [[1], [2]])
    reader.close()
  }

  @Test func aClosedReaderIsToldNothing() throws {
    let mailbox = try Mailbox<Int>()
    let loop = try EventLoop()
    var batches = 0
    let reader = try MailboxReader(mailbox, on: loop) { _ in batches += 1 }
    mailbox.post(1)
    reader.close()
    reader.close()
    settle(loop)
    #expect(batches == 0)
  }

  private final class HeldThread {
    private var thread: RunningThread?

    init(_ body: @escaping @Sendable () -> Void) throws {
      thread = try RunningThread(name: "poster", body)
    }

    func join() {
      if let thread = thread.take() { thread.join() }
    }
  }
}
