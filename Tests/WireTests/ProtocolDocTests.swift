import Bytes
import Foundation
import Testing
import Wire

/// docs/PROTOCOL.md says what the code says: its tables are generated here.
@Suite struct ProtocolDocTests {
  private static let path = "docs/PROTOCOL.md"

  @Test func theTablesAreThoseOfTheCode() throws {
    let hint = Comment(rawValue: "to write the tables anew: \(GoldenFile.updateCommand)")
    let text = try #require(GoldenFile.readProject(Self.path))
    var expected = try #require(Self.replacing("kinds", with: Self.kinds, in: text))
    expected = try #require(Self.replacing("error codes", with: Self.errorCodes, in: expected))
    if GoldenFile.isUpdating { try GoldenFile.writeProject(Self.path, expected) }
    #expect(GoldenFile.readProject(Self.path) == expected, hint)
  }

  @Test func rolesAndFlagsInTheProseAreThoseOfTheCode() throws {
    let text = try #require(GoldenFile.readProject(Self.path))
    for role in Role.allCases {
      #expect(text.contains("| \(role.name) | \(role.rawValue) |"), "role \(role.name)")
    }
    for kind in PayloadKind.allCases {
      #expect(text.contains(", \(kind.rawValue) ") || text.contains("is \(kind.rawValue) json"))
    }
    #expect(text.contains("\(FrameFlags.mayIgnore.rawValue) *may be ignored*"))
    #expect(text.contains("\(FrameFlags.reply.rawValue) *reply*"))
    #expect(text.contains("\(Limits.linkCreditBytes >> 20) MiB of headers and bodies"))
  }

  private static var kinds: String {
    var table = "| number | kind | most bytes | layout |\n|---|---|---|---|\n"
    for kind in Kind.allCases {
      let layout = Samples.witnesses[kind].map { type(of: $0).layout } ?? "?"
      table += "| \(kind.rawValue) | \(kind) | \(size(kind.bodyBytesMax)) | `\(layout)` |\n"
    }
    return table
  }

  private static var errorCodes: String {
    var table = "| code | name | reason | try again |\n|---|---|---|---|\n"
    for (code, name, reason) in ErrorCode.table {
      table += "| \(code.rawValue) | `\(name)` | \(reason) | \(code.isPassing ? "yes" : "no") |\n"
    }
    return table
  }

  private static func size(_ bytes: Int) -> String {
    if bytes.isMultiple(of: 1 << 20) { return "\(bytes >> 20) MiB" }
    return bytes.isMultiple(of: 1 << 10) ? "\(bytes >> 10) KiB" : "\(bytes)"
  }

  /// `text` with `table` between the markers of `section`; nil where they are not there.
  private static func replacing(_ section: String, with table: String, in text: String) -> String? {
    let (begin, end) = ("<!-- generated: \(section) -->\n", "<!-- end -->")
    guard let start = text.range(of: begin),
      let stop = text[start.upperBound...].range(of: end)
    else { return nil }
    return text[..<start.upperBound] + table + text[stop.lowerBound...]
  }
}
