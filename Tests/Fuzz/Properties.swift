import Bytes

/// Ends the process, which libFuzzer reports with the input.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fatalError(message()) }
}

/// The split invariance that every incremental decoder owes: whole, byte by byte and in segments
/// that follow from the bytes themselves, the same input gives the same events. Returns them.
@discardableResult
func requireSplitInvariance<Event: Equatable>(
  _ input: [UInt8], _ decode: ([[UInt8]]) -> [Event]
) -> [Event] {
  let expected = decode([input])
  let pieces = decode(segments(of: input))
  require(pieces == expected, "in segments: \(pieces), whole: \(expected)")
  if input.count <= 1_024 {
    let single = decode(input.map { [$0] })
    require(single == expected, "byte by byte: \(single), whole: \(expected)")
  }
  return expected
}

/// Cuts `input` where its own checksum says: the same input is always cut alike, so that a kept
/// input fails again.
func segments(of input: [UInt8]) -> [[UInt8]] {
  var state = UInt64(crc32c(input)) | 1 << 40
  var segments: [[UInt8]] = []
  var index = 0
  while index < input.count {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let count = Int(state >> 58) % (index % 3 == 0 ? 5 : 41)
    let end = min(input.count, index + count)
    segments.append(Array(input[index..<end]))
    index = end
  }
  return segments
}
