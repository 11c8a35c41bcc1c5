internal import Bytes

/// What most calls of *publish* are answered: `{"result":{"epoch":…,"offset":…}}`. Pure.
///
/// INVARIANT: the same bytes as those of `ServerAPI.answer`.
enum PlainPosition {
  private static let beforeEpoch = [UInt8](#"{"result":{"epoch":""#.utf8)
  private static let beforeOffset = [UInt8](#"","offset":"#.utf8)
  private static let behindOffset = [UInt8]("}}".utf8)

  static func length(_ position: Position) -> Int {
    beforeEpoch.count + position.epoch.count + beforeOffset.count + digits(position.offset.value)
      + behindOffset.count
  }

  static func append(_ position: Position, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: beforeEpoch)
    position.epoch.append(to: &bytes)
    bytes.append(contentsOf: beforeOffset)
    Encoding.append(position.offset.value, to: &bytes)
    bytes.append(contentsOf: behindOffset)
  }

  private static func digits(_ number: UInt64) -> Int {
    var count = 1
    var rest = number / 10
    while rest > 0 {
      count += 1
      rest /= 10
    }
    return count
  }
}

extension PublishResult {
  /// The position, if nothing else is to be said.
  var plainPosition: Position? { isDuplicate || reply != nil || isSkipped ? nil : position }
}
