import Bytes
import Foundation
import Wire

/// The golden vectors of one kind: `Tests/Golden/<kind>.hex`.
///
///     ## <label of the sample>
///     0c 00 00 00  # header.length u32 12
///     …
enum GoldenFile {
  /// The command that writes every golden file anew.
  static let updateCommand = "UPDATE_GOLDEN=1 swift test --filter WireTests"

  static var isUpdating: Bool { ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" }

  static let headerLayout = "length:u32 kind:u16 flags:u16 correlation:u32 checksum:u32"

  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static let folder = root.appending(path: "Tests/Golden")

  static func read(_ name: String) -> String? {
    try? String(contentsOf: folder.appending(path: name), encoding: .utf8)
  }

  /// Reads a file of the project by its path from the top.
  static func readProject(_ path: String) -> String? {
    try? String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  static func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: folder.appending(path: name), options: .atomic)
  }

  static func writeProject(_ path: String, _ text: String) throws {
    try Data(text.utf8).write(to: root.appending(path: path), options: .atomic)
  }

  /// The names of all vectors that are there.
  static func names() -> Set<String> {
    let found = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
    return Set((found ?? []).filter { $0.hasSuffix(".hex") })
  }

  /// The text of the file that `samples` of one kind give.
  static func text(_ samples: [Sample]) throws -> String {
    var text = ""
    for sample in samples {
      let frame = sample.frame()
      let layout = type(of: sample.message).layout
      text += "## \(sample.label)\n"
      let head = Array(frame[..<FrameHeader.bytes])
      for line in try Layout(headerLayout).label(head) { text += render(line, "header.") }
      let body = Array(frame[FrameHeader.bytes...])
      for line in try Layout(layout).label(body) { text += render(line, "") }
    }
    return text
  }

  /// At most 16 bytes on a line, the label behind the first ones.
  private static func render(_ line: LabelledBytes, _ prefix: String) -> String {
    var text = ""
    var start = 0
    repeat {
      let end = min(start + 16, line.bytes.count)
      let group = line.bytes[start..<end].map { hex([$0]) }.joined(separator: " ")
      let label = start == 0 ? "  # \(prefix)\(line.label)" : "  #"
      text += group + label + "\n"
      start = end
    } while start < line.bytes.count
    return text
  }

  /// The frames of a golden file, each with its label. Nil where a line is no hexadecimal.
  static func frames(_ text: String) -> [(label: String, bytes: [UInt8])]? {
    var frames: [(label: String, bytes: [UInt8])] = []
    for line in text.split(separator: "\n") {
      if line.hasPrefix("## ") {
        frames.append((String(line.dropFirst(3)), []))
        continue
      }
      let digits = line.prefix { $0 != "#" }.filter { $0 != " " }
      guard let group = bytes(hex: String(digits)), !frames.isEmpty else { return nil }
      frames[frames.count - 1].bytes += group
    }
    return frames
  }
}
