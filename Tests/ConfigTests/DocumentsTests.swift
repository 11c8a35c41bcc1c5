import Config
import Foundation
import Testing

/// The reference and the examples are what the code says.
@Suite struct DocumentsTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
  static let reference = root.appending(path: "docs/CONFIGURATION.md")
  static let channelTypes = ["relay", "broadcast", "cursor", "board", "simulation", "state", "echo"]

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  @Test(arguments: ["laptop", "one-server", "gateway-apart"])
  func exampleIsSound(name: String) throws {
    let check = Configuration.check(
      file: name, text: [UInt8](try Self.text("infra/config/\(name).json5").utf8),
      channelTypes: Self.channelTypes)
    #expect(check.report == "")
    #expect(check.configuration != Configuration() || name == "laptop")
  }

  @Test func theLaptopExampleIsTheDefaultsWrittenOut() throws {
    let check = Configuration.check(
      file: "laptop", text: [UInt8](try Self.text("infra/config/laptop.json5").utf8))
    #expect(check.configuration == Configuration())
  }

  @Test func everyExampleOfTheReferenceIsSound() throws {
    let blocks = try Self.text("docs/CONFIGURATION.md").components(separatedBy: "```json5\n")
      .dropFirst().compactMap { $0.components(separatedBy: "```").first }
    #expect(blocks.count >= 6)
    for block in blocks {
      let check = Configuration.check(
        file: "docs", text: [UInt8](block.utf8), channelTypes: Self.channelTypes)
      #expect(check.report == "", "\(block)")
    }
  }

  /// Apart from the generated tables, which name every setting anyway.
  @Test func everySettingIsExplainedInTheReference() throws {
    let reference = try Self.replacing(
      "variables", in: try Self.text("docs/CONFIGURATION.md"), by: "")
    for line in ConfigReference.variablesTable.split(separator: "\n").dropFirst(2) {
      let setting = line.split(separator: "`")[3]
      let parts = setting.split(separator: ".")
      let heading = "## [^\n]*\(parts[0])"
      let section = try #require(reference.range(of: heading, options: .regularExpression))
      let explained = reference[section.upperBound...]
      #expect(
        explained.contains("`\(setting)`") || explained.contains("`\(parts[1])`"), "\(setting)")
    }
  }

  /// Run with `UPDATE_DOCS=1` to write the tables anew.
  @Test func tablesOfTheReferenceAreGenerated() throws {
    let written = try Self.text("docs/CONFIGURATION.md")
    var generated = try Self.replacing("limits", in: written, by: ConfigReference.limitsTable)
    generated = try Self.replacing("variables", in: generated, by: ConfigReference.variablesTable)
    if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
      try generated.write(to: Self.reference, atomically: true, encoding: .utf8)
    } else {
      #expect(
        written == generated,
        "run: UPDATE_DOCS=1 swift test --filter tablesOfTheReferenceAreGenerated")
    }
  }

  static func replacing(_ name: String, in text: String, by table: String) throws -> String {
    let begin = try #require(text.range(of: "<!-- \(name):begin -->\n"))
    let end = try #require(text.range(of: "<!-- \(name):end -->"))
    return text.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: table)
  }
}
