/// Merged delivery: what waits for a channel's next frame on one loop.
///
/// A publication on an idle channel is due at once, so that merging adds no delay where there is
/// nothing to merge; those that follow within a frame's time wait for its end, and only the latest
/// of each key is kept. Holds at most `keysMax` publications: a new key beyond that takes the place
/// of the one that has waited longest, which is counted.
///
/// Instants are nanoseconds of any clock that doesn't go backwards.
public struct LatestPerKey {
  public static let keysMax = 4_096

  /// Publications that were replaced by a later one of their key.
  public private(set) var mergedCount: UInt64 = 0
  /// Publications that were given up for want of room.
  public private(set) var droppedCount: UInt64 = 0

  private let frameNs: UInt64
  private let keysMax: Int
  /// In the order published; nil where a later one of the same key took over.
  private var waiting: [(key: String, publication: Publication)?] = []
  private var first = 0
  private var places: [String: Int] = [:]
  private var nextFrameNs: UInt64 = 0

  /// `framesPerSecond` outside 1...1,000 is taken as the nearest of them.
  public init(framesPerSecond: Int, keysMax: Int = Self.keysMax) {
    frameNs = 1_000_000_000 / UInt64(min(max(framesPerSecond, 1), 1_000))
    self.keysMax = max(keysMax, 1)
  }

  public var isEmpty: Bool { places.isEmpty }

  /// When the next frame should be taken; nil where nothing waits.
  public var dueNs: UInt64? { isEmpty ? nil : nextFrameNs }

  /// Keeps a publication for the next frame.
  public mutating func keep(_ publication: Publication, key: String) {
    if let place = places[key] {
      waiting[place] = nil
      mergedCount &+= 1
    } else if places.count == keysMax {
      dropOldest()
    }
    places[key] = waiting.count
    waiting.append((key, publication))
    if waiting.count > 2 * keysMax || waiting.count > 64 && waiting.count > 4 * places.count {
      compact()
    }
  }

  /// The frame, in the order published, if it is due by now; else empty.
  public mutating func takeFrame(atNs now: UInt64) -> [Publication] {
    guard !isEmpty, now >= nextFrameNs else { return [] }
    let frame = waiting[first...].compactMap { $0?.publication }
    waiting.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    first = 0
    let (sum, overflow) = now.addingReportingOverflow(frameNs)
    nextFrameNs = overflow ? .max : sum
    return frame
  }

  private mutating func dropOldest() {
    while first < waiting.count {
      defer { first += 1 }
      guard let oldest = waiting[first] else { continue }
      waiting[first] = nil
      places[oldest.key] = nil
      droppedCount &+= 1
      return
    }
  }

  private mutating func compact() {
    waiting = waiting.filter { $0 != nil }
    first = 0
    for (place, entry) in waiting.enumerated() {
      if let entry { places[entry.key] = place }
    }
  }
}
