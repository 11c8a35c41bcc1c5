import Testing

@testable import GatewayCore

/// A batch takes a bounded share of its loop, whatever it asks for.
@Suite struct BatchOrderTests {
  private func starts(_ order: inout BatchOrder) -> [Int] {
    var started: [Int] = []
    while case .start(let index) = order.step() { started.append(index) }
    return started
  }

  @Test func oneAfterTheOther() {
    var order = BatchOrder(weights: [16, 1, 1], weightMax: 1)
    #expect(starts(&order) == [0])
    order.finish(0, bytes: 10)
    #expect(starts(&order) == [1])
    order.finish(1, bytes: 10)
    #expect(starts(&order) == [2])
    #expect(!order.isDone)
    order.finish(2, bytes: 10)
    #expect(order.isDone)
  }

  @Test func fewReadsOrManyPublicationsAtATime() {
    var reads = BatchOrder(weights: Array(repeating: BatchOrder.readWeight, count: 400))
    #expect(starts(&reads) == [0, 1, 2, 3])
    reads.finish(2, bytes: 1)
    #expect(starts(&reads) == [4])
    var publications = BatchOrder(weights: Array(repeating: 1, count: 400))
    #expect(starts(&publications) == Array(0..<64))
    var together = BatchOrder(weights: Array(repeating: 1, count: 400), weightMax: .max)
    #expect(starts(&together).count == 400)
  }

  @Test func whatDoesNotFitTheAnswerIsLeftOut() {
    var order = BatchOrder(weights: [16, 16, 16], weightMax: 1, bytesMax: 100)
    #expect(starts(&order) == [0])
    order.finish(0, bytes: 99)
    #expect(starts(&order) == [1], "there is room left")
    order.finish(1, bytes: 500)
    #expect(order.step() == .leaveOut(2))
    #expect(order.step() == nil)
    #expect(order.isDone)
  }

  @Test func answersStandInTheirOrderWhenEverTheyCome() {
    var waiting: [(Int, ([UInt8]) -> Void)] = []
    var result: [[UInt8]]?
    let run = BatchRun(3, BatchOrder(weights: [1, 1, 1]), leftOut: []) { index, done in
      if index == 1 { done([1]) } else { waiting.append((index, done)) }
    } finish: { result = $0 }
    run.advance()
    for (index, done) in waiting.reversed() { done([UInt8(index)]) }
    #expect(result == [[0], [1], [2]])
    #expect(text(BatchRun.list("x", [[0x31], [0x32]])) == #"{"x":[1,2]}"#)
  }

  @Test func aLongBatchThatIsAnsweredAtOnceIsNoDeepRecursion() {
    var result: [[UInt8]]?
    let weights = Array(repeating: 1, count: 100_000)
    let run = BatchRun(weights.count, BatchOrder(weights: weights, weightMax: 1), leftOut: []) {
      _, done in done([7])
    } finish: { result = $0 }
    run.advance()
    #expect(result?.count == weights.count)
  }
}
