internal import Bytes

/// Which of a producer's appends to a stream one is: the store takes each once, in order, and none from
/// an incarnation that another has followed.
public struct ProducerMark: Hashable, Sendable {
  /// 1 to 255 bytes.
  public var id: String
  /// Grows with each incarnation of the producer.
  public var epoch: UInt64
  /// 0, 1, 2 … in each epoch.
  public var sequence: UInt64

  public init(id: String, epoch: UInt64, sequence: UInt64) {
    self.id = id
    self.epoch = epoch
    self.sequence = sequence
  }
}
