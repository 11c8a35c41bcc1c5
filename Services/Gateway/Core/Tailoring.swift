internal import Bytes
internal import Centrifuge
internal import Delta

/// What one subscription gets otherwise than others of its form: only what its filter lets through,
/// or what changed since the publication before. Loop-confined.
final class Tailoring {
  let filter: CentrifugeTagCondition?
  /// Its client applies deltas.
  let isDelta: Bool
  /// What the client has as the publication before; nil: nothing that is known.
  var base: DeltaBase?
  /// While it is live.
  var group: TailoredGroup?

  /// Nil where nothing is asked for.
  init?(filter: CentrifugeTagCondition?, isDelta: Bool) {
    guard filter != nil || isDelta else { return nil }
    self.filter = filter
    self.isDelta = isDelta
  }

  /// Whether the client wants it. State and answers are for this client alone, and have no place.
  func admits(_ arrival: Arrival) -> Bool {
    arrival.position == nil || filter.admits(arrival)
  }
}

extension CentrifugeTagCondition? {
  func admits(_ arrival: Arrival) -> Bool { self?.matches(arrival.tags?.values ?? [:]) ?? true }
}

/// A publication that others are told as changes of.
final class DeltaBase {
  let payload: Payload
  let position: Position?

  init(_ arrival: Arrival) {
    payload = arrival.payload
    position = arrival.position
  }

  func isSame(as other: DeltaBase) -> Bool {
    self === other || position != nil && position == other.position
  }
}

/// Makes the deltas of one publication, each once for all groups that start from the same.
struct DeltaMaking {
  /// BUDGET: payloads above it go whole: a delta of them would keep the loop too long.
  static let payloadBytesMax = 256 * 1024

  private let payload: Payload
  private var made: [(base: DeltaBase, encoding: CentrifugeEncoding, delta: [UInt8]?)] = []
  /// How many were made.
  private(set) var count = 0

  init(_ payload: Payload) { self.payload = payload }

  /// What changed since `base`, as `data`; nil where the whole is no longer.
  mutating func delta(from base: DeltaBase, in encoding: CentrifugeEncoding) -> [UInt8]? {
    if let known = made.first(where: { $0.encoding == encoding && $0.base.isSame(as: base) }) {
      return known.delta
    }
    let delta = make(from: base, in: encoding)
    made.append((base, encoding, delta))
    return delta
  }

  private mutating func make(
    from base: DeltaBase, in encoding: CentrifugeEncoding
  ) -> [UInt8]? {
    let most = Self.payloadBytesMax
    guard payload.bytes.count <= most, base.payload.bytes.count <= most else { return nil }
    let target = encoding.data(payload)
    let cut = encoding == .json ? FossilDelta.Cut.betweenCharacters : .anywhere
    let delta = FossilDelta.make(from: encoding.data(base.payload).span, to: target.span, cut: cut)
    count += 1
    return delta.count < target.count ? encoding.deltaData(delta) : nil
  }
}
