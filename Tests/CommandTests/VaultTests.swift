import Bytes
import Platform
import Testing

@testable import CommandCore

private func name(_ text: String) -> [UInt8] { [UInt8](text.utf8) }
private let now = Instant(nanoseconds: 1_000_000_000)
private let version = FileVersion(modifiedNanoseconds: 5_000_000_000, bytes: 3, inode: 1)
private let hash = String(repeating: "ab", count: 32)
private let artifact = Artifact(name: "a", bytes: 3, sha256: hash, modifiedMs: 5000)
private let announced = Announced(modifiedNanoseconds: 5_000_000_000, bytes: 3, sha256: hash)

/// A machine that is sending file `a`.
private func sending(_ journal: VaultJournal = VaultJournal()) -> VaultWatchMachine {
  var machine = VaultWatchMachine(journal: journal)
  _ = machine.found(name("a"), .event)
  _ = machine.examined(.file(version))
  _ = machine.hashed(.sha256(hash), now: now)
  return machine
}

private func journal(_ entry: Announced) -> VaultJournal {
  var journal = VaultJournal()
  _ = journal.record(name("a"), entry)
  return journal
}

@Suite struct VaultWatchMachineTests {
  @Test func contentComesBeforePublicationBeforeJournal() throws {
    var machine = VaultWatchMachine(journal: VaultJournal())
    #expect(machine.found(name("a"), .event) == [.examine(name("a"))])
    #expect(machine.examined(.file(version)) == [.hash(name("a"), version)])
    #expect(machine.hashed(.sha256(hash), now: now) == [.send(name("a"), artifact, version)])
    #expect(machine.sent(.done(nil), now: now, random: 0) == [.publish(artifact)])
    let position = try #require(Position("e:1"))
    #expect(
      machine.published(.done(position), now: now, random: 0) == [
        .record(name("a"), announced), .announced(artifact, position),
      ])
    #expect(machine.isIdle)
  }

  @Test func oneFileAfterTheOther() {
    var machine = VaultWatchMachine(journal: VaultJournal())
    _ = machine.found(name("a"), .event)
    #expect(machine.found(name("b"), .event).isEmpty)
    #expect(machine.examined(.gone) == [.examine(name("b"))])
  }

  @Test func aFileFoundTwiceBeforeItsTurnIsLookedAtOnce() {
    var machine = VaultWatchMachine(journal: VaultJournal())
    _ = machine.found(name("a"), .event)
    _ = machine.found(name("b"), .scan)
    _ = machine.found(name("b"), .event)
    _ = machine.examined(.gone)
    #expect(machine.examined(.gone).isEmpty)
    #expect(machine.isIdle)
  }

  @Test func aFileFoundAgainWhileItIsSentIsLookedAtAgain() {
    var machine = sending()
    #expect(machine.found(name("a"), .event).isEmpty)
    _ = machine.sent(.done(nil), now: now, random: 0)
    let actions = machine.published(.done(nil), now: now, random: 0)
    #expect(actions.last == .examine(name("a")))
    // Unchanged, it is not announced again.
    _ = machine.examined(.file(version))
    #expect(machine.hashed(.sha256(hash), now: now).isEmpty)
  }

  @Test func aScanSkipsWhatWasAnnouncedWithoutReadingIt() {
    var machine = VaultWatchMachine(journal: journal(announced))
    _ = machine.found(name("a"), .scan)
    #expect(machine.examined(.file(version)).isEmpty)
  }

  @Test func anEventIsDecidedByTheContentAlone() {
    var machine = VaultWatchMachine(journal: journal(announced))
    _ = machine.found(name("a"), .event)
    #expect(machine.examined(.file(version)) == [.hash(name("a"), version)])
    let other = String(repeating: "cd", count: 32)
    let actions = machine.hashed(.sha256(other), now: now)
    #expect(
      actions == [
        .send(
          name("a"), Artifact(name: "a", bytes: 3, sha256: other, modifiedMs: 5000), version)
      ])
  }

  @Test(arguments: [Examination.gone, .beingWritten])
  func whatIsNotThereOrNotCompleteIsLeftForLater(examination: Examination) {
    var machine = VaultWatchMachine(journal: VaultJournal())
    _ = machine.found(name("a"), .event)
    #expect(machine.examined(examination).isEmpty)
    #expect(machine.isIdle)
  }

  @Test func anUnreadableFileIsReportedAndPassedOver() {
    var machine = VaultWatchMachine(journal: VaultJournal())
    _ = machine.found(name("a"), .event)
    #expect(machine.examined(.unreadable("no")) == [.report("a can't be read: no")])
    #expect(machine.isIdle)
    #expect(machine.refusedCount == 1)
  }

  @Test func aFileThatChangesWhileItIsReadWaitsBehindTheOthers() {
    var machine = VaultWatchMachine(journal: VaultJournal())
    _ = machine.found(name("a"), .event)
    _ = machine.found(name("b"), .event)
    _ = machine.examined(.file(version))
    #expect(machine.hashed(.changed, now: now) == [.examine(name("b"))])
    #expect(machine.examined(.gone) == [.examine(name("a"))])
  }

  @Test func aFileThatKeepsChangingAloneIsNotReadInARow() throws {
    var machine = VaultWatchMachine(journal: VaultJournal())
    _ = machine.found(name("a"), .event)
    _ = machine.examined(.file(version))
    #expect(machine.hashed(.changed, now: now).isEmpty)
    let due = try #require(machine.nextDeadline)
    #expect(due > now)
    #expect(machine.deadlineReached(now: due) == [.examine(name("a"))])
  }

  @Test func aFileThatChangedWhileItWasSentIsNotPublished() {
    var machine = sending()
    #expect(machine.sent(.changed, now: now, random: 0).isEmpty)
    #expect(machine.nextDeadline != nil)
  }

  @Test func anOutageIsWaitedOutForEverWithGrowingPauses() throws {
    var machine = sending()
    var at = now
    var pauses: [Int64] = []
    for round in 0..<12 {
      let actions = machine.sent(.later("away"), now: at, random: 1)
      #expect(actions.count == (round == 0 ? 1 : 0))
      let due = try #require(machine.nextDeadline)
      pauses.append(due.since(at).millisecondsClamped)
      at = due
      #expect(machine.deadlineReached(now: at) == [.examine(name("a"))])
      _ = machine.examined(.file(version))
      _ = machine.hashed(.sha256(hash), now: at)
    }
    #expect(
      pauses == [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000, 30_000])
    _ = machine.sent(.done(nil), now: at, random: 0)
    let actions = machine.published(.done(nil), now: at, random: 0)
    #expect(actions.first == .report("the server takes artifacts again"))
  }

  @Test func aPublicationThatWasLostOnTheWayIsRepeatedUnderTheSameKey() throws {
    var machine = sending()
    _ = machine.sent(.done(nil), now: now, random: 0)
    _ = machine.published(.later("lost"), now: now, random: 0)
    let due = try #require(machine.nextDeadline)
    _ = machine.deadlineReached(now: due)
    _ = machine.examined(.file(version))
    let again = machine.hashed(.sha256(hash), now: due)
    #expect(again == [.send(name("a"), artifact, version)])
  }

  @Test func aRefusedArtifactIsReportedAndTheNextOneGoesOn() {
    var machine = sending()
    _ = machine.found(name("b"), .event)
    let actions = machine.sent(.refused("too large"), now: now, random: 0)
    #expect(actions == [.report("a is not taken: too large"), .examine(name("b"))])
    #expect(machine.refusedCount == 1)
  }

  @Test func aFileWithoutRoomWaitsForItselfAndTheNextOneGoesOn() throws {
    var machine = sending()
    _ = machine.found(name("b"), .event)
    let actions = machine.sent(.thisLater("no room"), now: now, random: 1)
    #expect(actions == [.report("a waits: no room; others go on"), .examine(name("b"))])
    let due = try #require(machine.nextDeadline)
    #expect(due.since(now) == .seconds(1))
    #expect(machine.examined(.gone).isEmpty)
    #expect(machine.deadlineReached(now: due) == [.examine(name("a"))])
    _ = machine.examined(.file(version))
    _ = machine.hashed(.sha256(hash), now: due)
    #expect(machine.sent(.thisLater("no room"), now: due, random: 1).isEmpty, "said once")
    let next = try #require(machine.nextDeadline)
    #expect(next.since(due) == .seconds(2))
  }

  @Test func aFileSetAsideTakesItsTurnWhileAnotherIsSent() throws {
    var machine = sending()
    _ = machine.found(name("b"), .event)
    _ = machine.sent(.thisLater("no room"), now: now, random: 0)
    _ = machine.examined(.file(version))
    let due = try #require(machine.nextDeadline)
    #expect(machine.deadlineReached(now: due).isEmpty)
    #expect(machine.nextDeadline == nil, "it waits for its turn only")
    _ = machine.hashed(.sha256(hash), now: due)
    _ = machine.sent(.done(nil), now: due, random: 0)
    #expect(machine.published(.done(nil), now: due, random: 0).last == .examine(name("a")))
    _ = machine.examined(.file(version))
    _ = machine.hashed(.sha256(hash), now: due)
    _ = machine.sent(.done(nil), now: due, random: 0)
    _ = machine.published(.done(nil), now: due, random: 0)
    #expect(machine.isIdle && machine.nextDeadline == nil)
  }

  @Test func moreFilesThanMayBeSetAsideHoldUpTheRest() {
    var machine = VaultWatchMachine(journal: VaultJournal())
    for index in 0...VaultWatchMachine.asideMax {
      _ = machine.found(name("f\(index)"), .event)
      _ = machine.examined(.file(version))
      _ = machine.hashed(.sha256(hash), now: now)
      _ = machine.sent(.thisLater("no room"), now: now, random: 0)
    }
    #expect(!machine.isIdle)
    #expect(machine.found(name("g"), .event).isEmpty)
  }

  @Test func withoutPermissionThereIsNoUseInGoingOn() {
    var machine = sending()
    let actions = machine.sent(.notPermitted("no"), now: now, random: 0)
    #expect(actions == [.report("no"), .end(.notPermitted)])
    #expect(machine.found(name("b"), .event).isEmpty)
  }

  @Test func moreNamesThanFitMakeTheDirectoriesReadAgain() {
    var machine = VaultWatchMachine(journal: VaultJournal())
    for index in 0...(VaultWatchMachine.queuedMax + 1) {
      _ = machine.found(name("f\(index)"), .scan)
    }
    var last: [VaultWatchMachine.Action] = []
    while !machine.isIdle { last = machine.examined(.gone) }
    #expect(last == [.rescan])
  }

  @Test(arguments: [".hidden", "a/.hidden/b", "", "a//b"])
  func namesThatAreNoArtifactsAreIgnored(text: String) {
    var machine = VaultWatchMachine(journal: VaultJournal())
    #expect(machine.found(name(text), .event).isEmpty)
  }
}

@Suite struct VaultJournalTests {
  @Test func whatIsRecordedIsReadBackAndLaterLinesWin() {
    var written = VaultJournal()
    var text = written.record(name("a/b \"c\""), announced)
    text += written.record([0x61, 0xff], announced)
    var newer = announced
    newer.bytes = 9
    text += written.record(name("a/b \"c\""), newer)
    let read = VaultJournal(text: text)
    #expect(read[name("a/b \"c\"")] == newer)
    #expect(read[[0x61, 0xff]] == announced)
    #expect(!read.isDamaged)
    #expect(read.lineCount == 3)
  }

  /// A crash can cut the text anywhere: all whole lines are kept, and nothing is made up.
  @Test func everyTruncationKeepsTheWholeLines() {
    var journal = VaultJournal()
    let first = journal.record(name("a"), announced)
    let text = first + journal.record(name("b"), announced)
    for count in 0...text.count {
      let read = VaultJournal(text: Array(text[..<count]))
      #expect((read[name("a")] != nil) == (count >= first.count))
      #expect((read[name("b")] != nil) == (count == text.count))
      #expect(read.isDamaged == (count != 0 && count != first.count && count != text.count))
    }
  }

  @Test func linesThatAreNotOursAreLeftOut() {
    let read = VaultJournal(text: name("{\"name\":\"a\"}\nrubbish\n{}\n"))
    #expect(read.entries.isEmpty)
    #expect(read.isDamaged)
    #expect(read.isWorthCompacting)
  }

  @Test func compactingKeepsEveryEntryOnce() {
    var journal = VaultJournal()
    for round in 0..<2000 {
      var entry = announced
      entry.bytes = Int64(round)
      _ = journal.record(name("a"), entry)
    }
    #expect(journal.isWorthCompacting)
    let text = journal.compact()
    #expect(!journal.isWorthCompacting)
    let read = VaultJournal(text: text)
    #expect(read.lineCount == 1)
    #expect(read[name("a")]?.bytes == 1999)
  }

  @Test func theFileIsTheJournalAfterEveryAppendAndHeldByOneProcess() throws {
    let directory = try TemporaryDirectory()
    do {
      let file = try #require(try VaultJournalFile(in: directory.path, identity: "x"))
      try file.append(name("a"), announced)
      #expect(try VaultJournalFile(in: directory.path, identity: "x") == nil)
      #expect(try VaultJournalFile(in: directory.path, identity: "y") != nil)
    }
    let again = try #require(try VaultJournalFile(in: directory.path, identity: "x"))
    #expect(again.content[name("a")] == announced)
  }
}

@Suite struct ArtifactTests {
  @Test func theAnnouncementHasTheShapeOfTheContract() {
    #expect(
      String(decoding: artifact.payload.bytes, as: UTF8.self)
        == #"{"type":"artifact","name":"a","bytes":3,"sha256":"\#(hash)","modified":5000}"#)
    #expect(artifact.payload.kind == .json)
  }

  @Test func theKeyDependsOnNameHashAndTimeAlone() {
    #expect(artifact.idempotencyKey == artifact.idempotencyKey)
    #expect(artifact.idempotencyKey.utf8.count <= 255)
    let others = [
      Artifact(name: "b", bytes: 3, sha256: hash, modifiedMs: 5000),
      Artifact(name: "a", bytes: 3, sha256: String(hash.reversed()), modifiedMs: 5000),
      Artifact(name: "a", bytes: 3, sha256: hash, modifiedMs: 5001),
    ]
    #expect(Set(others.map(\.idempotencyKey) + [artifact.idempotencyKey]).count == 4)
  }

  @Test func namesAreUTF8OrEscaped() {
    #expect(artifactName(name("sub/größe.txt")) == "sub/größe.txt")
    #expect(artifactName([0x61, 0xff, 0x5c, 0xc3, 0xa4, 0xc3]) == "a\\xff\\\\ä\\xc3")
  }

  @Test func noTwoNamesGiveOneText() {
    #expect(artifactName([0x61, 0xff]) != artifactName(name("a\\xff")))
    #expect(artifactName(name("a\\xff")) == "a\\\\xff")
  }

  @Test func whatIsShownStaysOnItsLineAndSteersNothing() {
    #expect(printable("größe 1") == "größe 1")
    #expect(printable("a\nb\u{1b}[2J\u{7f}") == "a\\x0ab\\x1b[2J\\x7f")
    #expect(printable("\u{9b}\u{2028}") == "\\xc2\\x9b\\xe2\\x80\\xa8")
    #expect(printable("a\r\nb") == "a\\x0d\\x0ab")
  }
}

@Suite struct VaultFilesTests {
  private let directory: TemporaryDirectory
  private var files: VaultFiles { VaultFiles(root: directory.path) }
  init() throws {
    SignalReader.blockHandled()
    directory = try TemporaryDirectory()
  }

  @Test func aPlainFileIsHashed() throws {
    try Files.replace(directory("a"), with: name("abc"))
    guard case .file(let version) = files.examine(name("a")) else {
      Issue.record("a plain file is one")
      return
    }
    #expect(version.bytes == 3)
    // FIPS 180-4's example.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(files.hash(name("a"), version) == .sha256(expected))
    #expect(files.isStill(name("a"), version))
  }

  @Test func aFileThatWasReplacedIsAnotherVersion() throws {
    try Files.replace(directory("a"), with: name("abc"))
    guard case .file(let version) = files.examine(name("a")) else { return }
    try Files.replace(directory("a"), with: name("abd"))
    #expect(files.hash(name("a"), version) == .changed)
    #expect(!files.isStill(name("a"), version))
  }

  @Test func directoriesAndMissingFilesAreNoArtifacts() throws {
    try Files.makeDirectories(directory("d"))
    #expect(files.examine(name("d")) == .gone)
    #expect(files.examine(name("nothing")) == .gone)
  }
}
