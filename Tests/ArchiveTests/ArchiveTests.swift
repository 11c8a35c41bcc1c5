import Archive
import Bytes
import Crypto
import Foundation
import JSON
import Testing
import Wire

struct ArchiveTests {
  @Test(arguments: ArchiveFormat.allCases) func whatIsWrittenIsReadAgainByteForByte(
    _ format: ArchiveFormat
  ) throws {
    let items = try ArchiveSample.read(ArchiveSample.lines(format)).get()
    let events = items.compactMap { if case .event(let event) = $0 { event } else { nil } }
    #expect(events == ArchiveSample.events)
    #expect(items.first == .header(ArchiveSample.header))
    var chain = ArchiveSample.header.chain
    for event in events { chain.add(event) }
    #expect(
      items.last
        == .end(ArchiveSample.header, count: UInt64(events.count), last: Offset(12), chain))
  }

  /// The lines are a contract: other programs read them. `UPDATE_GOLDEN=1` writes them anew.
  @Test(arguments: ArchiveFormat.allCases) func theLinesStayAsTheyAre(_ format: ArchiveFormat) throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Files/\(format.rawValue).ndjson")
    var bytes: [UInt8] = []
    for line in ArchiveSample.lines(format) { bytes += line + [10] }
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
      try Data(bytes).write(to: path)
    }
    #expect(try [UInt8](Data(contentsOf: path)) == bytes, "UPDATE_GOLDEN=1 rewrites it")
  }

  /// Not by our own code: h(n) = SHA-256(h(n−1) · event n).
  @Test func theChainIsTheOneThatIsDocumented() throws {
    var chain = ArchiveSample.header.chain.bytes
    for event in ArchiveSample.events {
      var encoded = EncodedEvents()
      encoded.append(event)
      chain = SHA256.digest(chain + encoded.bytes)
    }
    let last = try #require(ArchiveSample.lines(.ndjson).last)
    #expect(String(decoding: last, as: UTF8.self).contains(hex(chain)))
  }

  @Test(arguments: ArchiveFormat.allCases) func severalStreamsAreReadOneAfterTheOther(
    _ format: ArchiveFormat
  ) throws {
    var empty = ArchiveHeader(
      channel: ArchiveSample.channel, epoch: ArchiveSample.epoch, floor: Offset(5), first: Offset(6),
      chain: ArchiveSample.header.chain)
    empty.fork = nil
    let writer = ArchiveWriter(empty, format)
    let lines = ArchiveSample.lines(format) + [writer.firstLine, writer.lastLine].map { [UInt8]($0.dropLast()) }
    let items = try ArchiveSample.read(lines).get()
    #expect(items.last == .end(empty, count: 0, last: Offset(5), empty.chain))
  }

  /// Each byte of each line in turn: found, and at that line.
  @Test(arguments: ArchiveFormat.allCases) func aChangeOfAnyByteIsFoundWhereItIs(_ format: ArchiveFormat) {
    let lines = ArchiveSample.lines(format)
    for line in lines.indices {
      for index in lines[line].indices {
        var changed = lines
        changed[line][index] ^= 1
        #expect(ArchiveSample.faultLine(changed) == line + 1, "line \(line + 1), byte \(index)")
      }
    }
  }

  /// Each value of each line in turn, changed to another that could stand there.
  @Test(arguments: ArchiveFormat.allCases) func aChangeOfAnyFieldIsFoundWhereItIs(
    _ format: ArchiveFormat
  ) throws {
    let lines = ArchiveSample.lines(format)
    var count = 0
    for (index, line) in lines.enumerated() {
      guard let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] else {
        Issue.record("line \(index + 1) is no object")
        continue
      }
      for (name, value) in object {
        var changed = object
        switch value {
        case let text as String: changed[name] = text.isEmpty ? "x" : String(text.dropLast()) + (text.last == "1" ? "2" : "1")
        case let number as NSNumber: changed[name] = number.int64Value &- 1
        default: changed[name] = nil
        }
        for form in [changed, object.filter { $0.key != name }] {
          var all = lines
          all[index] = [UInt8](try JSONSerialization.data(withJSONObject: form, options: .sortedKeys))
          #expect(ArchiveSample.faultLine(all) == index + 1, "line \(index + 1), \(name)")
          count += 1
        }
      }
    }
    #expect(count > 100)
  }

  @Test(arguments: ArchiveFormat.allCases) func linesThatAreMissingTwiceThereOrMovedAreFound(
    _ format: ArchiveFormat
  ) {
    let lines = ArchiveSample.lines(format)
    for index in lines.indices {
      var less = lines
      less.remove(at: index)
      #expect(ArchiveSample.faultLine(less) == index + 1, "line \(index + 1) removed")
      var more = lines
      more.insert(lines[index], at: index)
      #expect(ArchiveSample.faultLine(more) == index + 2, "line \(index + 1) twice")
      for other in lines.indices where other > index {
        var moved = lines
        moved.swapAt(index, other)
        #expect(ArchiveSample.faultLine(moved) == index + 1, "lines \(index + 1) and \(other + 1)")
      }
      #expect(ArchiveSample.faultLine(Array(lines[..<index])) == index + 1, "cut before \(index + 1)")
      // Of another stream's file.
      var strange = lines
      strange[index] = ArchiveSample.lines(format == .ndjson ? .cloudevents : .ndjson)[index]
      let line = ArchiveSample.faultLine(strange)
      // A header of the other format begins a file of that one: what follows does not fit.
      #expect(line == (index == 0 ? 2 : index + 1))
    }
  }

  @Test func theFaultNamesTheLineAndTheOffset() {
    var lines = ArchiveSample.lines(.ndjson)
    lines[3] = [UInt8](String(decoding: lines[3], as: UTF8.self)
      .replacing("\"time\":1700000000123", with: "\"time\":1700000000124").utf8)
    #expect(
      ArchiveSample.read(lines)
        == .failure(ArchiveFault(line: 4, offset: Offset(4), reason: .chain)))
    #expect(ArchiveSample.read([]) == .failure(ArchiveFault(line: 1, offset: nil, reason: .noHeader)))
    #expect(
      ArchiveSample.read(Array(ArchiveSample.lines(.ndjson).dropLast()))
        == .failure(ArchiveFault(line: 13, offset: Offset(13), reason: .cut)))
  }

  @Test func anEventOfTheAPIIsReadAgainAndNothingElse() throws {
    for event in ArchiveSample.events {
      var writer = JSONWriter()
      EventJSON.append(event, to: &writer)
      #expect(EventJSON.event(writer.bytes.span) == event)
      writer.bytes.removeLast()
      #expect(EventJSON.event(writer.bytes.span) == nil)
      #expect(EventJSON.event((writer.bytes + [UInt8](#","more":1}"#.utf8)).span) == nil)
    }
    for text in [
      "{}", "[]", #"{"offset":0,"time":1,"kind":"json","data":1}"#,
      #"{"offset":1,"time":1,"kind":"other","data":1}"#, #"{"offset":1,"time":1,"kind":"json"}"#,
      #"{"offset":1,"time":1,"kind":"text","data":1}"#,
      #"{"offset":1,"time":1,"kind":"binary","data":"x"}"#,
      #"{"offset":1,"time":1,"kind":"json","data":1,"b64data":"AA=="}"#,
    ] {
      #expect(EventJSON.event([UInt8](text.utf8).span) == nil, "\(text)")
    }
  }
}
