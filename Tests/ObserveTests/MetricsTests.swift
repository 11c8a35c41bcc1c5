import Observe
import Testing

enum DropReason: String, MetricLabel {
  static let labelName = "reason"
  case slowClient = "slow_client"
  case odd = "a\"b\\c\nd"
}

@Suite struct MetricsTests {
  @Test func rendersPrometheusText() {
    let metrics = Metrics(labels: ["service": "gateway"])
    let frames = metrics.counter("sapphire_frames_total", "Frames read.\nAll \\ of them.")
    let clients = metrics.gauge("sapphire_clients", "Open client connections.")
    let drops = metrics.counters("sapphire_dropped_total", "Dropped.", by: DropReason.self)
    let sync = metrics.histogram(
      "sapphire_fsync_seconds", "Time of a sync.",
      Histogram.Buckets(bounds: [50_000, 1_000_000, 2_500_000_000], unitsPerOne: 1_000_000_000))
    metrics.gauge("sapphire_up_seconds", "Age.", reading: { 12 })
    frames.add()
    frames.add(count: 41)
    clients.add(3)
    clients.add(-5)
    drops[.slowClient].add(7)
    sync.record(.microseconds(50))
    sync.record(.microseconds(51))
    sync.record(.seconds(3))
    #expect(
      metrics.render() == #"""
        # HELP sapphire_frames_total Frames read.\nAll \\ of them.
        # TYPE sapphire_frames_total counter
        sapphire_frames_total{service="gateway"} 42
        # HELP sapphire_clients Open client connections.
        # TYPE sapphire_clients gauge
        sapphire_clients{service="gateway"} -2
        # HELP sapphire_dropped_total Dropped.
        # TYPE sapphire_dropped_total counter
        sapphire_dropped_total{service="gateway",reason="slow_client"} 7
        sapphire_dropped_total{service="gateway",reason="a\"b\\c\nd"} 0
        # HELP sapphire_fsync_seconds Time of a sync.
        # TYPE sapphire_fsync_seconds histogram
        sapphire_fsync_seconds_bucket{service="gateway",le="5e-05"} 1
        sapphire_fsync_seconds_bucket{service="gateway",le="0.001"} 2
        sapphire_fsync_seconds_bucket{service="gateway",le="2.5"} 2
        sapphire_fsync_seconds_bucket{service="gateway",le="+Inf"} 3
        sapphire_fsync_seconds_sum{service="gateway"} 3.000101
        sapphire_fsync_seconds_count{service="gateway"} 3
        # HELP sapphire_up_seconds Age.
        # TYPE sapphire_up_seconds gauge
        sapphire_up_seconds{service="gateway"} 12

        """#)
  }

  @Test func aBoundOfALevelHoldsHoweverManyThreadsAsk() async {
    let level = Gauge()
    let taken = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask { (0..<1_000).reduce(into: 0) { sum, _ in sum += level.addOne(below: 64) ? 1 : 0 } }
      }
      return await group.reduce(0, +)
    }
    #expect(taken == 64 && level.value == 64)
    level.add(-1)
    #expect(level.addOne(below: 64) && !level.addOne(below: 64) && !level.addOne(below: 0))
  }

  @Test func samplesWithoutLabelsHaveNoBraces() {
    let metrics = Metrics()
    metrics.histogram("sapphire_frame_bytes", "Sizes.", Histogram.Buckets(bounds: [64]))
      .record(100)
    _ = metrics.counter("sapphire_x_total", "X.")
    #expect(
      metrics.render() == """
        # HELP sapphire_frame_bytes Sizes.
        # TYPE sapphire_frame_bytes histogram
        sapphire_frame_bytes_bucket{le="64"} 0
        sapphire_frame_bytes_bucket{le="+Inf"} 1
        sapphire_frame_bytes_sum 100
        sapphire_frame_bytes_count 1
        # HELP sapphire_x_total X.
        # TYPE sapphire_x_total counter
        sapphire_x_total 0

        """)
  }

  /// Row 132: however many things are counted, a scrape has as many lines as the enum has cases.
  @Test func labelsStayBounded() {
    let metrics = Metrics()
    let drops = metrics.counters("sapphire_dropped_total", "Dropped.", by: DropReason.self)
    let before = metrics.render().split(separator: "\n").count
    for _ in 0..<100_000 { drops[.odd].add() }
    #expect(metrics.render().split(separator: "\n").count == before)
    #expect(drops[.odd].value == 100_000)
  }

  @Test func countsFromManyThreadsAddUp() async {
    let metrics = Metrics()
    let counter = metrics.counter("sapphire_x_total", "X.")
    let gauge = metrics.gauge("sapphire_x", "X.")
    let histogram = metrics.histogram("sapphire_x_bytes", "X.", .bytes)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<10_000 {
            counter.add()
            gauge.add(1)
            histogram.record(100)
          }
        }
      }
      for _ in 0..<20 { _ = metrics.render() }
    }
    #expect(counter.value == 40_000)
    #expect(gauge.value == 40_000)
    #expect(metrics.render().contains("sapphire_x_bytes_count 40000\n"))
  }

  @Test func odditiesOfDurationsDoNotTrap() {
    let histogram = Metrics().histogram("sapphire_x_seconds", "X.", .seconds)
    for duration: Duration in [.zero, .seconds(-5), .seconds(Int64.max), .seconds(Int64.min)] {
      histogram.record(duration)
    }
    var text = ""
    histogram.render("x", labels: "", to: &text)
    #expect(text.contains("x_count 4\n"))
  }

  @Test func namesFollowPrometheus() async {
    await #expect(processExitsWith: .failure) {
      _ = Metrics().counter("sapphire_frames", "no _total")
    }
    await #expect(processExitsWith: .failure) { _ = Metrics().gauge("9lives", "bad name") }
    await #expect(processExitsWith: .failure) {
      let metrics = Metrics()
      _ = metrics.gauge("twice", "one")
      _ = metrics.gauge("twice", "two")
    }
  }
}
