import Bytes
import Testing
import Wire

@Suite struct ErrorCodeTests {
  @Test func numbersAndNamesAreUnique() {
    let numbers = ErrorCode.table.map(\.code.rawValue)
    let names = ErrorCode.table.map(\.name)
    #expect(Set(numbers).count == numbers.count)
    #expect(Set(names).count == names.count)
    #expect(numbers == numbers.sorted())
  }

  @Test func everyNumberLiesInARangeThatMeansSomething() {
    for code in ErrorCode.table.map(\.code) {
      #expect((1..<300).contains(code.rawValue), "\(code.name) is in no range of ours")
    }
  }

  @Test func whatIsDeclaredStandsInTheTable() throws {
    let source = try #require(GoldenFile.readProject("Shared/Wire/ErrorCode.swift"))
    let declared = source.split(separator: "\n").compactMap { line -> UInt16? in
      guard line.contains("public static let"),
        let number = line.split(separator: "rawValue: ").last,
        line.contains("ErrorCode(rawValue:")
      else { return nil }
      return UInt16(number.prefix { $0.isNumber })
    }
    #expect(declared == ErrorCode.table.map(\.code.rawValue))
  }

  @Test func theTableKeepsItsReleasedNumbers() throws {
    let hint = Comment(rawValue: "to write the vectors anew: \(GoldenFile.updateCommand)")
    var text = "## error codes, u16\n"
    for entry in ErrorCode.table {
      var writer = ByteWriter()
      writer.u16(entry.code.rawValue)
      let digits = writer.bytes.map { hex([$0]) }.joined(separator: " ")
      text += "\(digits)  # \(entry.code.rawValue) \(entry.name)\n"
    }
    if GoldenFile.isUpdating { try GoldenFile.write("errorCodes.hex", text) }
    #expect(GoldenFile.read("errorCodes.hex") == text, hint)
  }

  @Test func onlyPassingCodesAndALostLinkInviteARetry() {
    let passing = ErrorCode.table.map(\.code).filter(\.isPassing)
    #expect(
      passing == [
        .linkLost, .overloaded, .deadlineExceeded, .unavailable, .draining, .outOfSpace,
      ])
  }

  @Test func aCodeOfSomeoneElseHasANameAndAReason() {
    let code = ErrorCode(rawValue: 1_234)
    #expect(code.name == "error_1234")
    #expect(code.reason == "unknown error 1234")
    #expect(!code.isPassing)
  }
}
