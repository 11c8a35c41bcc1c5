import Testing

@testable import GatewayCore

@Suite struct NewcomersTests {
  @Test func areReadFirstAsLongAsTheyHaveSentSomething() {
    var newcomers = Newcomers()
    #expect(read(&newcomers, 40, true) == Array(0..<40))
    #expect(read(&newcomers, 2, false) == [0])
  }

  @Test func areTriedNowAndThenWhereTheyHaveNot() {
    var newcomers = Newcomers()
    #expect(read(&newcomers, 50, false) == [0, 16, 32, 48])
    #expect(read(&newcomers, 14, false) == [])
    #expect(read(&newcomers, 3, true) == [0, 1, 2])
  }

  /// Which of the next ones are read first, where each has sent something, or none.
  private func read(_ newcomers: inout Newcomers, _ count: Int, _ haveSent: Bool) -> [Int] {
    var read: [Int] = []
    for number in 0..<count {
      if newcomers.readsNext() { read.append(number) }
      newcomers.came(haveSent)
    }
    return read
  }
}
