import Bytes
import Testing
import Wire

/// What every released frame looks like, byte by byte. A changed vector is a new version or a bug.
@Suite struct GoldenTests {
  private let hint = Comment(rawValue: "to write the vectors anew: \(GoldenFile.updateCommand)")

  @Test(arguments: Kind.allCases)
  func everyKindHasAVectorThatDecodesToItsSampleAndBack(kind: Kind) throws {
    let samples = Samples.of(kind)
    try #require(!samples.isEmpty, "kind \(kind) has no sample: add one to Samples")
    let name = "\(kind).hex"
    if GoldenFile.isUpdating { try GoldenFile.write(name, try GoldenFile.text(samples)) }
    let text = try #require(GoldenFile.read(name), hint)
    #expect(try GoldenFile.text(samples) == text, hint)
    let frames = try #require(GoldenFile.frames(text), "\(name) is no labelled hexadecimal")
    #expect(frames.map(\.label) == samples.map(\.label), hint)
    for (frame, sample) in zip(frames, samples) { try check(frame.bytes, sample) }
  }

  private func check(_ bytes: [UInt8], _ sample: Sample) throws {
    var reader = FrameReader(checksums: .crc32c)
    var headers: [FrameHeader] = []
    var bodies: [[UInt8]] = []
    let taken = try reader.read(bytes.span) { header, body in
      headers.append(header)
      bodies.append([UInt8](copying: body))
      return true
    }
    #expect(taken == bytes.count)
    let header = try #require(headers.first)
    let body = try #require(bodies.first)
    #expect(headers.count == 1)
    #expect(header.kind == sample.kind)
    #expect(header.flags == sample.flags)
    #expect(header.correlation == sample.correlation)
    #expect(header.length == body.count)
    #expect(try sample.message.isDecoded(from: body), "\(sample) decodes to something else")
    #expect(sample.frame() == bytes, hint)
  }

  @Test func noVectorBelongsToAKindThatIsGone() {
    let known = Set(Kind.allCases.map { "\($0).hex" }).union(["errorCodes.hex"])
    #expect(GoldenFile.names().subtracting(known) == [])
  }

  @Test(arguments: Samples.all)
  func theLayoutTextDescribesExactlyWhatIsEncoded(sample: Sample) throws {
    let body = sample.message.body
    let lines = try Layout(type(of: sample.message).layout).label(body)
    #expect(lines.flatMap(\.bytes) == body)
  }

  @Test(arguments: Samples.all)
  func aFrameOnAUnixSocketDiffersInItsChecksumAlone(sample: Sample) {
    var bytes = sample.frame(.crc32c)
    bytes.replaceSubrange(12..<16, with: [0, 0, 0, 0])
    #expect(sample.frame(.none) == bytes)
  }

  @Test(arguments: ["a:u7", "a", "a:", ":u8", "a:[b:u8", "a:[b:u8]", "a:u8 ", "a:u8  b:u8"])
  func aLayoutOutsideTheNotationIsRefused(text: String) {
    #expect(throws: Layout.Malformed(text: text)) { try Layout(text) }
  }
}
