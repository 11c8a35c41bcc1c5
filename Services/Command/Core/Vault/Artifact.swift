internal import Bytes
internal import Crypto
internal import JSON

/// A file that is announced: `{"type":"artifact","name","bytes","sha256","modified"}`.
struct Artifact: Equatable, Sendable {
  /// Relative to the watched directory; see `artifactName`.
  let name: String
  let bytes: Int64
  /// 64 hexadecimal digits.
  let sha256: String
  /// The last change of its content, in milliseconds since 1970.
  let modifiedMs: Int64

  /// The publication's JSON; always the same bytes for the same artifact.
  var payload: Payload {
    var writer = JSONWriter(reserving: name.utf8.count + 192)
    writer.beginObject()
    writer.field("type", "artifact")
    writer.field("name", name)
    writer.field("bytes", bytes)
    writer.field("sha256", sha256)
    writer.field("modified", modifiedMs)
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  /// The same for every announcement of this name, hash and time, by whatever process.
  var idempotencyKey: String {
    let parts = "\(name)\0\(sha256)\0\(modifiedMs)"
    return "artifact-\(hex(SHA256.digest([UInt8](parts.utf8))))"
  }
}

/// A file's name as text, another for every name: `\\` for a backslash and `\xHH` for each byte that
/// is no part of UTF-8.
func artifactName(_ raw: [UInt8]) -> String {
  var name: [UInt8] = []
  var index = 0
  while index < raw.count {
    let width = utf8Width(raw, index)
    if raw[index] == UInt8(ascii: "\\") {
      name += [UInt8]("\\\\".utf8)
    } else if width > 0 {
      name += raw[index..<(index + width)]
    } else {
      name += [UInt8]("\\x\(hex([raw[index]]))".utf8)
    }
    index += max(width, 1)
  }
  return String(decoding: name, as: UTF8.self)
}

/// Text for a terminal or a log, on one line: `\xHH` for each byte of a control character, so that a
/// file's name can neither begin a line of its own nor steer a terminal.
func printable(_ text: String) -> String {
  guard text.unicodeScalars.contains(where: isControl) else { return text }
  var shown = ""
  for scalar in text.unicodeScalars {
    if isControl(scalar) {
      for byte in String(scalar).utf8 { shown += "\\x\(hex([byte]))" }
    } else {
      shown.unicodeScalars.append(scalar)
    }
  }
  return shown
}

/// C0, DEL, C1, and the separators that begin a line.
private func isControl(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029: true
  default: false
  }
}

/// How many bytes the character at `index` takes; 0 where there is none.
private func utf8Width(_ bytes: [UInt8], _ index: Int) -> Int {
  for width in 1...4 where index + width <= bytes.count {
    if String(validating: bytes.span.extracting(index..<(index + width))) != nil { return width }
  }
  return 0
}

/// Whether a file of this relative name may become an artifact: no part of it begins with a dot.
func isArtifactName(_ raw: [UInt8]) -> Bool {
  !raw.isEmpty
    && raw.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .allSatisfy { !$0.isEmpty && $0.first != UInt8(ascii: ".") }
}
