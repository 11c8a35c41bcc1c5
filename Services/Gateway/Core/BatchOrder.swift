/// Which commands of a batch are started when. Pure.
///
/// Reads weigh more than publications, since each may be answered with megabytes; what weighs too
/// much together waits. Once the answers fill their budget, what has not been started is left out.
struct BatchOrder {
  enum Step: Equatable {
    case start(Int)
    /// Not done, for want of room in the answer.
    case leaveOut(Int)
  }

  /// BUDGET: the answers of one batch. Those under way when it is full still come in.
  static let answerBytesMax = 16 << 20
  /// Under way at a time: so many publications, or a few reads.
  static let weightMax = 64
  static let readWeight = 16

  private let weights: [Int]
  private let weightMax: Int
  private let bytesMax: Int
  private var next = 0
  private var weight = 0
  private var finished = 0
  private var bytes = 0

  /// - Parameter weightMax: 1 starts one command at a time; `Int.max` all together.
  init(weights: [Int], weightMax: Int = Self.weightMax, bytesMax: Int = Self.answerBytesMax) {
    self.weights = weights
    self.weightMax = weightMax
    self.bytesMax = bytesMax
  }

  var isDone: Bool { finished == weights.count }

  /// What to do now; nil while what is under way has to come first, or all is started.
  mutating func step() -> Step? {
    guard next < weights.count else { return nil }
    let index = next
    if bytes >= bytesMax {
      next += 1
      finished += 1
      return .leaveOut(index)
    }
    guard weight == 0 || weights[index] <= weightMax - weight else { return nil }
    next += 1
    weight += weights[index]
    return .start(index)
  }

  mutating func finish(_ index: Int, bytes count: Int) {
    weight -= weights[index]
    finished += 1
    bytes += count
  }
}

/// Carries out the commands of one batch, and puts their answers together in their order.
final class BatchRun {
  typealias Start = (_ index: Int, _ done: @escaping ([UInt8]) -> Void) -> Void

  private var order: BatchOrder
  private var replies: [[UInt8]]
  private let start: Start
  private let leftOut: [UInt8]
  private let finish: ([[UInt8]]) -> Void
  private var isAdvancing = false
  private var isFinished = false

  /// - Parameter leftOut: the answer in the place of what was left out.
  init(
    _ count: Int, _ order: BatchOrder, leftOut: [UInt8], _ start: @escaping Start,
    finish: @escaping ([[UInt8]]) -> Void
  ) {
    self.order = order
    replies = Array(repeating: [], count: count)
    self.leftOut = leftOut
    self.start = start
    self.finish = finish
  }

  /// Starts what may start. An answer that comes at once is taken by the loop below, so that a long
  /// batch is no deep recursion.
  func advance() {
    guard !isAdvancing, !isFinished else { return }
    isAdvancing = true
    while let step = order.step() {
      switch step {
      case .leaveOut(let index): replies[index] = leftOut
      case .start(let index): start(index) { [self] reply in answered(index, reply) }
      }
    }
    isAdvancing = false
    guard order.isDone else { return }
    isFinished = true
    finish(replies)
  }

  private func answered(_ index: Int, _ reply: [UInt8]) {
    replies[index] = reply
    order.finish(index, bytes: reply.count)
    advance()
  }

  /// `{"NAME":[reply,…]}`.
  static func list(_ name: String, _ replies: [[UInt8]]) -> [UInt8] {
    var bytes = [UInt8]("{\"\(name)\":[".utf8)
    bytes.reserveCapacity(replies.reduce(bytes.count + 2) { $0 + $1.count + 1 })
    for (index, reply) in replies.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      bytes.append(contentsOf: reply)
    }
    bytes.append(contentsOf: "]}".utf8)
    return bytes
  }
}
