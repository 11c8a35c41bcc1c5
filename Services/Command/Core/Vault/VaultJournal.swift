internal import Bytes
internal import JSON

/// What a file was when it was announced.
struct Announced: Equatable, Sendable {
  var modifiedNanoseconds: Int64
  var bytes: Int64
  var sha256: String
}

/// What a watcher has announced, by the file's relative name; and the text it is kept as.
///
/// One JSON object a line; a later line of a name replaces an earlier one. A last line without its
/// end is what a crash cut off, and counts as not written: its artifact is announced once more
/// under the same idempotency key. Pure.
struct VaultJournal: Equatable {
  private(set) var entries: [[UInt8]: Announced] = [:]
  /// Lines of the text, those that were replaced included.
  private(set) var lineCount = 0
  /// Whether the text has lines that are none of ours or was cut off: it is to be written anew.
  private(set) var isDamaged = false

  init() {}

  init(text: [UInt8]) {
    let end = text.lastIndex(of: 10).map { $0 + 1 } ?? 0
    isDamaged = end != text.count
    for line in text[..<end].split(separator: 10) {
      lineCount += 1
      guard let (name, announced) = Self.parse(Array(line)) else {
        isDamaged = true
        continue
      }
      entries[name] = announced
    }
  }

  subscript(name: [UInt8]) -> Announced? { entries[name] }

  /// Whether most of the text says nothing any more.
  var isWorthCompacting: Bool { isDamaged || lineCount > entries.count * 2 + 1000 }

  /// Takes an announcement in and gives the line to append.
  mutating func record(_ name: [UInt8], _ announced: Announced) -> [UInt8] {
    entries[name] = announced
    lineCount += 1
    return Self.line(name, announced)
  }

  /// The text with one line for each name.
  mutating func compact() -> [UInt8] {
    lineCount = entries.count
    isDamaged = false
    let names = entries.keys.sorted { $0.lexicographicallyPrecedes($1) }
    return names.flatMap { name in entries[name].map { Self.line(name, $0) } ?? [] }
  }

  private static func line(_ name: [UInt8], _ announced: Announced) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    if let text = String(validating: name.span) {
      writer.field("name", text)
    } else {
      writer.field("rawName", base64(name))
    }
    writer.field("modified", announced.modifiedNanoseconds)
    writer.field("bytes", announced.bytes)
    writer.field("sha256", announced.sha256)
    writer.endObject()
    return writer.bytes + [10]
  }

  private static func parse(_ line: [UInt8]) -> (name: [UInt8], Announced)? {
    guard let value = try? JSONValue.parse(line.span),
      let name = value["name"]?.string.map({ [UInt8]($0.utf8) })
        ?? value["rawName"]?.string.flatMap({ Bytes.bytes(base64: $0) }),
      let modified = value["modified"]?.int, let bytes = value["bytes"]?.int,
      let sha256 = value["sha256"]?.string
    else { return nil }
    return (name, Announced(modifiedNanoseconds: modified, bytes: bytes, sha256: sha256))
  }
}
