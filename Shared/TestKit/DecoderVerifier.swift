/// The ordeal every incremental decoder goes through: the same bytes in any segmentation must give
/// the same events, a truncated stream must give a prefix of them, and damaged bytes must never
/// crash it nor make it depend on the segmentation.
///
/// The decoder is a closure that builds a *fresh* decoder, feeds it the segments in order, and
/// returns everything it reported; an error is reported as a last event. Each check returns
/// descriptions of what failed, empty when nothing did, so that a test can say
/// `#expect(verifier.failures(of: samples) == [])`.
public struct DecoderVerifier<Event: Equatable> {
  /// Bytes, and the events that they must give.
  public struct Sample {
    public var name: String
    public var bytes: [UInt8]
    public var events: [Event]
    /// True when nothing can follow these bytes in a stream: they end in an error or a close.
    public var endsStream: Bool

    public init(_ name: String, _ bytes: [UInt8], _ events: [Event], endsStream: Bool = false) {
      self.name = name
      self.bytes = bytes
      self.events = events
      self.endsStream = endsStream
    }
  }

  /// What a fresh decoder reports of the segments.
  private let decode: (_ segments: [[UInt8]]) -> [Event]
  /// Samples longer than this are split at this many random places, not at every index.
  private let splitsMax = 2_048

  public init(decode: @escaping (_ segments: [[UInt8]]) -> [Event]) { self.decode = decode }

  /// Replays each sample whole, split in two at every index, byte by byte and truncated, and all
  /// that do not end the stream one behind the other.
  public func failures(of samples: [Sample], seed: UInt64 = 1) -> [String] {
    var random = SeededGenerator(seed: seed)
    var failures: [String] = []
    for sample in samples {
      failures += whole(sample)
      failures += byteByByte(sample)
      failures += splits(sample, &random)
      failures += truncations(sample, &random)
    }
    return failures + concatenated(samples, &random)
  }

  /// Flips bits of the samples `rounds` times; damaged bytes must not crash the decoder, and must
  /// give the same events whole, byte by byte and in random segments.
  public func failuresOfDamage(to samples: [Sample], seed: UInt64, rounds: Int) -> [String] {
    guard !samples.isEmpty else { return ["there are no samples to damage"] }
    var random = SeededGenerator(seed: seed)
    var failures: [String] = []
    for round in 0..<rounds {
      let sample = samples[Int.random(in: 0..<samples.count, using: &random)]
      let damaged = damage(sample.bytes, &random)
      let expected = decode([damaged])
      let segments = segment(damaged, &random)
      if decode(segments) != expected {
        failures.append("\(sample.name): seed \(seed) round \(round): depends on random segments")
      }
      if damaged.count <= splitsMax, decode(damaged.map { [$0] }) != expected {
        failures.append("\(sample.name): seed \(seed) round \(round): differs byte by byte")
      }
    }
    return failures
  }

  private func whole(_ sample: Sample) -> [String] {
    let events = decode([sample.bytes])
    guard events != sample.events else { return [] }
    return ["\(sample.name): whole gave \(events), not \(sample.events)"]
  }

  private func byteByByte(_ sample: Sample) -> [String] {
    let events = decode(sample.bytes.map { [$0] })
    return events == sample.events ? [] : ["\(sample.name): byte by byte gave \(events)"]
  }

  private func splits(_ sample: Sample, _ random: inout SeededGenerator) -> [String] {
    for index in cuts(sample.bytes.count, &random) {
      let events = decode([Array(sample.bytes[..<index]), Array(sample.bytes[index...])])
      if events != sample.events { return ["\(sample.name): split at \(index) gave \(events)"] }
    }
    return []
  }

  private func truncations(_ sample: Sample, _ random: inout SeededGenerator) -> [String] {
    for index in cuts(sample.bytes.count, &random) {
      let events = decode([Array(sample.bytes[..<index])])
      if !sample.events.starts(with: events) {
        return ["\(sample.name): truncated at \(index) gave \(events)"]
      }
    }
    return []
  }

  private func concatenated(_ samples: [Sample], _ random: inout SeededGenerator) -> [String] {
    let joinable = samples.filter { !$0.endsStream }
    let bytes = joinable.flatMap(\.bytes)
    let events = joinable.flatMap(\.events)
    guard joinable.count > 1 else { return [] }
    if decode([bytes]) != events { return ["the samples one behind the other gave other events"] }
    if decode(bytes.map { [$0] }) != events {
      return ["all samples, byte by byte, gave other events"]
    }
    for _ in 0..<32 where decode(segment(bytes, &random)) != events {
      return ["all samples in random segments gave other events (seed \(random.seed))"]
    }
    return []
  }

  private func cuts(_ count: Int, _ random: inout SeededGenerator) -> [Int] {
    if count <= splitsMax { return Array(0...count) }
    return (0..<splitsMax / 16).map { _ in Int.random(in: 0...count, using: &random) }
  }

  private func segment(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [[UInt8]] {
    var segments: [[UInt8]] = []
    var index = 0
    let longest = Int.random(in: 1...64, using: &random)
    while index < bytes.count {
      let end = min(bytes.count, index + Int.random(in: 0...longest, using: &random))
      segments.append(Array(bytes[index..<end]))
      index = end
    }
    return segments
  }

  private func damage(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var damaged = bytes
    guard !damaged.isEmpty else { return damaged }
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let index = Int.random(in: 0..<damaged.count, using: &random)
      damaged[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    }
    return damaged
  }
}

extension DecoderVerifier.Sample: Sendable where Event: Sendable {}
