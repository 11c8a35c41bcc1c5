/// The values that a label may have: a closed enum, so that no channel, user or address can ever
/// become a time series (row 132).
public protocol MetricLabel: CaseIterable, RawRepresentable, Hashable, Sendable
where RawValue == String {
  /// The label's name, `snake_case`: `reason`, `queue`.
  static var labelName: String { get }
}

/// An instrument that the registry can render.
public protocol MetricInstrument: AnyObject, Sendable {
  /// The word after `# TYPE`.
  static var prometheusType: String { get }
  /// Appends the sample lines of the instrument; `labels` is `` or `name="value",…`.
  func render(_ name: String, labels: String, to text: inout String)
}

/// One instrument for each value of a label.
///
/// All exist from the start, so that a scrape shows zeros rather than nothing. On hot paths keep
/// the instrument that the subscript returns.
public final class MetricFamily<Label: MetricLabel, Instrument: MetricInstrument>: Sendable {
  private let instruments: [Label: Instrument]
  private let spare: Instrument

  /// More than 64 values is a programmer error: labels are bounded.
  public init(_ make: () -> Instrument) {
    precondition(Label.allCases.count <= 64, "a label has at most 64 values")
    var instruments: [Label: Instrument] = [:]
    for label in Label.allCases { instruments[label] = make() }
    self.instruments = instruments
    spare = make()
  }

  /// The instrument of that value. One that `allCases` leaves out gets an instrument that is never
  /// rendered.
  public subscript(label: Label) -> Instrument { instruments[label] ?? spare }
}

public typealias CounterFamily<Label: MetricLabel> = MetricFamily<Label, Counter>
public typealias GaugeFamily<Label: MetricLabel> = MetricFamily<Label, Gauge>
public typealias HistogramFamily<Label: MetricLabel> = MetricFamily<Label, Histogram>
