internal import Bytes
internal import Synchronization

/// Where one event is: its stream, its offset there, its position in the store.
struct Place: Equatable {
  var stream: Int64
  var offset: Offset
  var position: Int64
}

/// The places of committed events that the index does not have yet.
///
/// The writer's, read by readers: any thread may call, each call holds the lock for one look-up or
/// one batch. A reader takes its stream's run *before* its database snapshot: what is missing from
/// the run was then put into the index earlier and is in the snapshot.
final class CommittedTail: Sendable {
  /// One stream's places: offsets `first`, `first + 1` … at `positions`.
  struct Run: Equatable {
    var first: Offset
    var positions: [Int64]
    var last: Offset { Offset(first.value &+ UInt64(positions.count) &- 1) }

    /// Nil for an offset that is not in the run.
    func position(of offset: Offset) -> Int64? {
      offset < first || offset > last ? nil : positions[Int(offset.value - first.value)]
    }
  }

  private let runs = Mutex<[Int64: Run]>([:])

  func append(_ places: [Place]) {
    runs.withLock { runs in
      for place in places {
        runs[place.stream, default: Run(first: place.offset, positions: [])]
          .positions.append(place.position)
      }
    }
  }

  func run(of stream: Int64) -> Run? { runs.withLock { $0[stream] } }

  /// All places in the index's order: by stream, then offset.
  func sorted() -> [Place] {
    runs.withLock { runs in
      var places: [Place] = []
      for stream in runs.keys.sorted() {
        guard let run = runs[stream] else { continue }
        for (index, position) in run.positions.enumerated() {
          let offset = Offset(run.first.value &+ UInt64(index))
          places.append(Place(stream: stream, offset: offset, position: position))
        }
      }
      return places
    }
  }

  func clear() { runs.withLock { $0.removeAll(keepingCapacity: true) } }
}
