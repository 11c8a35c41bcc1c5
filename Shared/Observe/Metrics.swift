internal import Synchronization

/// The instruments of a process, by name, and their rendering as Prometheus text (format 0.0.4).
///
/// Names follow Prometheus: `sapphire_<what>_total` for counters, base units at the end
/// (`_seconds`, `_bytes`). Registering happens at start; a name that is malformed or given twice is
/// a programmer error. Any thread.
public final class Metrics: Sendable {
  /// The content type of what `render` returns.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  private struct Entry: Sendable {
    let name: String
    let help: String
    let type: String
    let render: @Sendable (inout String) -> Void
  }

  private let entries = Mutex<[Entry]>([])
  /// Labels that every sample has, `name="value",…` or empty.
  private let constantLabels: String

  /// - Parameter labels: few and constant for the life of the process, such as `service`.
  public init(labels: KeyValuePairs<String, String> = [:]) {
    constantLabels = labels.map { name, value in
      precondition(Self.isName(name), "a label's name is [a-zA-Z_][a-zA-Z0-9_]*")
      return Self.label(name, value)
    }.joined(separator: ",")
  }

  public func counter(_ name: String, _ help: String) -> Counter {
    precondition(name.hasSuffix("_total"), "a counter's name ends in _total")
    return register(Counter(), name, help)
  }

  public func gauge(_ name: String, _ help: String) -> Gauge { register(Gauge(), name, help) }

  public func histogram(
    _ name: String, _ help: String, _ buckets: Histogram.Buckets
  ) -> Histogram {
    register(Histogram(buckets), name, help)
  }

  public func counters<Label: MetricLabel>(
    _ name: String, _ help: String, by label: Label.Type
  ) -> CounterFamily<Label> {
    precondition(name.hasSuffix("_total"), "a counter's name ends in _total")
    return register(MetricFamily { Counter() }, name, help)
  }

  public func gauges<Label: MetricLabel>(
    _ name: String, _ help: String, by label: Label.Type
  ) -> GaugeFamily<Label> {
    register(MetricFamily { Gauge() }, name, help)
  }

  public func histograms<Label: MetricLabel>(
    _ name: String, _ help: String, _ buckets: Histogram.Buckets, by label: Label.Type
  ) -> HistogramFamily<Label> {
    register(MetricFamily { Histogram(buckets) }, name, help)
  }

  /// A gauge whose value is asked for at each scrape, on the scraping thread.
  public func gauge(
    _ name: String, _ help: String, reading value: @escaping @Sendable () -> Int64
  ) {
    let labels = constantLabels
    add(name, help, type: Gauge.prometheusType) { text in
      Self.sample(name, labels, String(value()), to: &text)
    }
  }

  /// All instruments in the order they were registered. Blocks only against registering.
  public func render() -> String {
    let entries = entries.withLock { $0 }
    var text = ""
    text.reserveCapacity(entries.count * 160)
    for entry in entries {
      text += "# HELP \(entry.name) \(Self.escapedHelp(entry.help))\n"
      text += "# TYPE \(entry.name) \(entry.type)\n"
      entry.render(&text)
    }
    return text
  }

  private func register<Instrument: MetricInstrument>(
    _ instrument: Instrument, _ name: String, _ help: String
  ) -> Instrument {
    let labels = constantLabels
    add(name, help, type: Instrument.prometheusType) { text in
      instrument.render(name, labels: labels, to: &text)
    }
    return instrument
  }

  private func register<Label: MetricLabel, Instrument: MetricInstrument>(
    _ family: MetricFamily<Label, Instrument>, _ name: String, _ help: String
  ) -> MetricFamily<Label, Instrument> {
    precondition(Self.isName(Label.labelName), "a label's name is [a-zA-Z_][a-zA-Z0-9_]*")
    let constant = constantLabels
    add(name, help, type: Instrument.prometheusType) { text in
      for value in Label.allCases {
        let own = Self.label(Label.labelName, value.rawValue)
        let labels = constant.isEmpty ? own : "\(constant),\(own)"
        family[value].render(name, labels: labels, to: &text)
      }
    }
    return family
  }

  private func add(
    _ name: String, _ help: String, type: String,
    _ render: @escaping @Sendable (inout String) -> Void
  ) {
    precondition(Self.isName(name), "a metric's name is [a-zA-Z_][a-zA-Z0-9_]*")
    entries.withLock { entries in
      precondition(!entries.contains { $0.name == name }, "metric \(name) is registered twice")
      entries.append(Entry(name: name, help: help, type: type, render: render))
    }
  }
}

// The text format: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
extension Metrics {
  static func sample(_ name: String, _ labels: String, _ value: String, to text: inout String) {
    text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
  }

  /// In label values backslash, quote and line feed are escaped.
  static func label(_ name: String, _ value: String) -> String {
    var escaped = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": escaped += #"\\"#
      case "\"": escaped += #"\""#
      case "\n": escaped += #"\n"#
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return "\(name)=\"\(escaped)\""
  }

  /// In help texts backslash and line feed are escaped.
  static func escapedHelp(_ help: String) -> String {
    var escaped = ""
    for scalar in help.unicodeScalars {
      switch scalar {
      case "\\": escaped += #"\\"#
      case "\n": escaped += #"\n"#
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case 48...57, 65...90, 95, 97...122: true
      default: false
      }
    }
  }
}

extension Counter: MetricInstrument {
  public static var prometheusType: String { "counter" }

  public func render(_ name: String, labels: String, to text: inout String) {
    Metrics.sample(name, labels, String(value), to: &text)
  }
}

extension Gauge: MetricInstrument {
  public static var prometheusType: String { "gauge" }

  public func render(_ name: String, labels: String, to text: inout String) {
    Metrics.sample(name, labels, String(value), to: &text)
  }
}

extension Histogram: MetricInstrument {
  public static var prometheusType: String { "histogram" }

  public func render(_ name: String, labels: String, to text: inout String) {
    let (counts, sum) = snapshot
    var cumulative: UInt64 = 0
    for (index, count) in counts.enumerated() {
      cumulative &+= count
      let bound = index < buckets.bounds.count ? inOnes(buckets.bounds[index]) : "+Inf"
      let own = "le=\"\(bound)\""
      let all = labels.isEmpty ? own : "\(labels),\(own)"
      Metrics.sample("\(name)_bucket", all, String(cumulative), to: &text)
    }
    Metrics.sample("\(name)_sum", labels, inOnes(sum), to: &text)
    Metrics.sample("\(name)_count", labels, String(cumulative), to: &text)
  }

  /// A value as Prometheus is shown it; whole where the unit is one.
  private func inOnes(_ value: UInt64) -> String {
    guard buckets.unitsPerOne > 1 else { return String(value) }
    return (Double(value) / Double(buckets.unitsPerOne)).description
  }
}
