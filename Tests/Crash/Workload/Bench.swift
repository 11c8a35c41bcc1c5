internal import Bytes
internal import EventStoreCore
internal import Glibc
internal import Platform
internal import Wire

/// How fast the engine alone commits: `bench DIR BATCH STREAMS BYTES SECONDS [TAIL-BYTES] [mark]`.
///
/// One line of JSON: events and commits a second, the processor time of a million events, and the
/// latency of a commit with its maintenance.
struct Bench {
  var batch = 64
  var streams = 100
  var bytes = 200
  var seconds = 2.0
  var options = EventStore.Options()

  func run(in directory: String) throws {
    let store = try EventStore(directory: directory, options: options, now: .current())
    let names = (0..<streams).compactMap { ChannelName("bench:\($0)") }
    let payload = Payload(.binary, [UInt8](repeating: 120, count: bytes))
    var next = 0
    var events = 0
    var laps: [UInt64] = []
    let cpu = processorNanoseconds()
    let start = SystemClock.monotonic()
    var now = start
    while now.since(start).inSeconds < seconds {
      var requests: [AppendRequest] = []
      requests.reserveCapacity(batch)
      for _ in 0..<batch {
        requests.append(
          AppendRequest(to: names[next % streams], [NewEvent(payload: payload)], time: 1))
        next += 1
      }
      _ = try store.commit(requests, at: .current())
      try store.maintain(at: .current())
      let end = SystemClock.monotonic()
      laps.append(end.nanoseconds - now.nanoseconds)
      events += batch
      now = end
    }
    let used = processorNanoseconds() - cpu
    report(events, laps.sorted(), now.since(start).inSeconds, used)
  }

  private func report(_ events: Int, _ laps: [UInt64], _ elapsed: Double, _ used: UInt64) {
    let perSecond = Int(Double(events) / elapsed)
    let cpu = Double(used) / Double(events) / 1000
    print(
      """
      {"batch":\(batch),"streams":\(streams),"bytes":\(bytes),"tail":\(options.tailBytes),\
      "events_per_s":\(perSecond),"cpu_us_per_event":\(cpu),"cpu_events_per_s":\(Int(1e6 / cpu)),\
      "p50_us":\(laps[laps.count / 2] / 1000),"p99_us":\(laps[laps.count * 99 / 100] / 1000),\
      "max_us":\((laps.last ?? 0) / 1000)}
      """)
  }
}

extension StoreInstant {
  static func current() -> StoreInstant {
    StoreInstant(
      monotonic: Int64(SystemClock.monotonic().nanoseconds / 1_000_000),
      wall: SystemClock.wallMilliseconds())
  }
}

/// `clock_gettime(CLOCK_PROCESS_CPUTIME_ID)`.
private func processorNanoseconds() -> UInt64 {
  var time = timespec()
  _ = unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
