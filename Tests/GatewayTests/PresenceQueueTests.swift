import Bytes
@testable import GatewayCore
import Testing
import Wire

@Suite struct PresenceQueueTests {
  @Test func aNewLinkBeginsWithAWholeReportEvenOfNobody() {
    var queue = PresenceQueue()
    #expect(queue.isReportDue)
    #expect(queue.next() == nil)
    queue.beginReport([])
    #expect(send(&queue) == PresenceBatch(sequence: 1, part: .wholeReport, events: []))
    #expect(queue.isEmpty)
    #expect(queue.next() == nil)
  }

  @Test func whatHappensWhileAReportIsDueIsLeftToTheReport() {
    var queue = PresenceQueue()
    queue.append(join(1))
    queue.beginReport([join(2)])
    #expect(send(&queue)?.events == [join(2)])
    #expect(queue.isEmpty)
  }

  @Test func aLargeReportIsSentInPartsAndWhatHappenedMeanwhileAfterIt() {
    var queue = PresenceQueue()
    let all = (0..<UInt64(2 * PresenceQueue.batchMax + 1)).map(join)
    queue.beginReport(all)
    queue.append(leave(0))
    var batches: [PresenceBatch] = []
    while let batch = send(&queue) { batches.append(batch) }
    #expect(batches.map(\.part) == [.opensReport, .next, .closesReport, .next])
    #expect(batches.map(\.sequence) == [1, 2, 3, 4])
    #expect(batches.flatMap(\.events) == all + [leave(0)])
    #expect(queue.isEmpty)
  }

  @Test func aBatchThatWasNotTakenIsNextAgain() {
    var queue = told()
    queue.append(join(1))
    let batch = queue.next()
    queue.append(leave(1))
    #expect(queue.next()?.sequence == batch?.sequence)
    #expect(queue.next()?.events == [join(1), leave(1)])
  }

  @Test func aBatchIsBoundedInBytesAndHoldsAtLeastOneEvent() {
    var queue = told()
    let large = [UInt8](repeating: 32, count: PresenceQueue.batchBytesMax + 1)
    queue.append(join(1, info: large))
    queue.append(join(2, info: large))
    #expect(send(&queue)?.events.map(\.client) == [1])
    #expect(send(&queue)?.events.map(\.client) == [2])
  }

  @Test func moreEventsThanMayWaitBecomeAReport() {
    var queue = told()
    for number in 0..<UInt64(PresenceQueue.waitingMax) { queue.append(join(number)) }
    #expect(!queue.isReportDue)
    queue.append(join(0))
    #expect(queue.isReportDue)
    #expect(queue.next() == nil)
    queue.beginReport([join(7)])
    #expect(send(&queue) == PresenceBatch(sequence: 2, part: .wholeReport, events: [join(7)]))
  }

  @Test func aReportItselfDoesNotCountAgainstWhatMayWait() {
    var queue = PresenceQueue()
    queue.beginReport((0..<UInt64(PresenceQueue.waitingMax + 5)).map { join($0) })
    queue.append(leave(1))
    #expect(!queue.isReportDue)
  }

  @Test func onANewLinkBatchesCountFromOneAgain() {
    var queue = told()
    queue.startOver()
    #expect(queue.isReportDue)
    queue.beginReport([])
    #expect(send(&queue)?.sequence == 1)
  }

  // MARK: fixtures

  private let lobby = ChannelName("lobby") ?? { preconditionFailure("a valid name") }()

  private func join(_ number: UInt64) -> MemberEvent { join(number, info: []) }
  private func join(_ number: UInt64, info: [UInt8]) -> MemberEvent {
    MemberEvent(.joined, lobby, client: number, info: info)
  }
  private func leave(_ number: UInt64) -> MemberEvent { MemberEvent(.left, lobby, client: number) }

  /// A queue whose first report is done: one batch was sent.
  private func told() -> PresenceQueue {
    var queue = PresenceQueue()
    queue.beginReport([])
    _ = send(&queue)
    return queue
  }

  private func send(_ queue: inout PresenceQueue) -> PresenceBatch? {
    guard let batch = queue.next() else { return nil }
    queue.sent(batch)
    return batch
  }
}
