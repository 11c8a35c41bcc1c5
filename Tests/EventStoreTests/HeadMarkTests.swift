import Bytes
import TestKit
import Testing

@testable import EventStoreCore

struct HeadMarkTests {
  private let mark = HeadMark(store: 7, commit: 42, position: 1_000, chain: 99)

  @Test func slotSurvivesARoundTrip() {
    let bytes = HeadMarkSlot.encode(mark)
    #expect(bytes.count == 64)
    #expect(HeadMarkSlot.decode(bytes.span) == mark)
  }

  @Test func slotWithAnyBitFlippedIsNoMark() {
    let bytes = HeadMarkSlot.encode(mark)
    for bit in 0..<(bytes.count * 8) {
      var flipped = bytes
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(HeadMarkSlot.decode(flipped.span) == nil, "bit \(bit)")
    }
  }

  @Test func emptyOrShortSlotIsNoMark() {
    #expect(HeadMarkSlot.decode([UInt8](repeating: 0, count: 64).span) == nil)
    #expect(HeadMarkSlot.decode([UInt8](HeadMarkSlot.encode(mark).dropLast()).span) == nil)
  }

  // The truth table of a start: what the file says against what the database says.
  @Test func databaseThatEqualsItsMarkIsServed() {
    #expect(HeadMarkReading.mark(mark).refusal(of: mark) == nil)
  }

  @Test func databaseAheadOfItsMarkIsALegalCrash() {
    var ahead = mark
    ahead.commit += 3
    ahead.position += 10
    ahead.chain = 1
    #expect(HeadMarkReading.mark(mark).refusal(of: ahead) == nil)
  }

  @Test func databaseBehindItsMarkIsRefused() {
    var behind = mark
    behind.commit -= 1
    #expect(
      HeadMarkReading.mark(mark).refusal(of: behind) == .behind(database: 41, mark: 42))
  }

  @Test func emptyDatabaseOfAnotherStoreIsBehindRatherThanForeign() {
    let fresh = HeadMark(store: 8, commit: 0, position: 0, chain: 0)
    #expect(HeadMarkReading.mark(mark).refusal(of: fresh) == .behind(database: 0, mark: 42))
  }

  @Test func sameCommitWithAnotherHistoryIsRefused() {
    var other = mark
    other.chain = 98
    #expect(HeadMarkReading.mark(mark).refusal(of: other) == .diverged(commit: 42))
  }

  @Test func laterCommitWithFewerEventsIsRefused() {
    var other = mark
    other.commit += 1
    other.position -= 1
    #expect(HeadMarkReading.mark(mark).refusal(of: other) == .diverged(commit: 42))
  }

  @Test func markOfAnotherStoreIsRefused() {
    var other = mark
    other.store = 8
    other.commit += 1
    #expect(HeadMarkReading.mark(mark).refusal(of: other) == .foreign)
  }

  @Test func missingOrUnreadableMarkIsRefusedOnceThereAreCommits() {
    let fresh = HeadMark(store: 7, commit: 0, position: 0, chain: 0)
    #expect(HeadMarkReading.missing.refusal(of: mark) == .missing)
    #expect(HeadMarkReading.unreadable.refusal(of: mark) == .unreadable)
    #expect(HeadMarkReading.missing.refusal(of: fresh) == nil)
    #expect(HeadMarkReading.unreadable.refusal(of: fresh) == nil)
  }

  @Test func newestSlotCountsAndATornOneFallsBackToTheOneBefore() throws {
    let temporary = try TemporaryStore()
    try HeadMarkFile.create(in: temporary.directory, mark)
    var file = try HeadMarkFile(existing: temporary.directory)
    var last = mark
    for _ in 0..<40 {
      last.commit += 1
      try file.write(last)
    }
    #expect(try HeadMarkFile.read(in: temporary.directory) == .mark(last))
    let slot = Int((last.commit - mark.commit) % 16)
    try temporary.flip(temporary.mark, at: slot * HeadMarkFile.slotStride + 20)
    last.commit -= 1
    #expect(try HeadMarkFile.read(in: temporary.directory) == .mark(last))
  }
}

struct StoreClockTests {
  @Test func runsWithTheMonotonicClockWhateverTheWallClockDoes() {
    let clock = StoreClock(stored: 100, storedWall: 5_000, now: .init(monotonic: 40, wall: 5_000))
    #expect(clock.time(at: .init(monotonic: 90, wall: 999_999_999)) == 150)
    #expect(clock.time(at: .init(monotonic: 90, wall: -999_999_999)) == 150)
  }

  @Test func restartCountsWhatTheWallClockSaysUpToAnHour() {
    func after(_ wall: Int64) -> Int64 {
      let clock = StoreClock(stored: 100, storedWall: 5_000, now: .init(monotonic: 7, wall: wall))
      return clock.time(at: .init(monotonic: 7, wall: wall))
    }
    #expect(after(5_900) == 1_000)
    #expect(after(315_360_000_000) == 100 + 3_600_000)
    #expect(after(-315_360_000_000) == 100)
    #expect(after(.min) == 100)
  }
}
