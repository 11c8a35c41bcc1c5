import Bytes
import Testing

/// Reliability catalogue, row 75: exact bytes or refused.
@Suite struct ChannelNameTests {
  @Test func takesTheGrammar() {
    for text in [
      "a", "universal-frequency", "sim:tick", "map:cursor:1", "log:x",
      "A.b_c@d#e,f=g", "0", String(repeating: "x", count: 255), "..", "-",
    ] {
      #expect(ChannelName(text)?.text == text)
    }
  }

  @Test func takesExactlyTheBytesOfTheGrammar() {
    let allowed = Set(
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:.@#,=-".unicodeScalars)
    for scalar in (0..<0x250).compactMap(Unicode.Scalar.init) {
      #expect((ChannelName(String(scalar)) != nil) == allowed.contains(scalar), "\(scalar.value)")
    }
  }

  @Test func refusesEverythingElse() {
    for text in [
      "", String(repeating: "x", count: 256), String(repeating: "x", count: 65_536), "a\0",
      "a\r\nb",
      "a b", "é", "e\u{301}", "😀", "*", "a*", ">", "../a", "$SYS", "'; DROP TABLE x", "\"", "\\",
      "{}", "\u{202E}abc", "a/b", "a%20", "a+b", "~", "\u{FEFF}a",
    ] {
      #expect(ChannelName(text) == nil, "\(text.debugDescription.prefix(40))")
    }
  }

  @Test func forksAreNamedAfterTheirStream() throws {
    let stream = try #require(ChannelName("sim:run7"))
    let fork = try #require(ChannelName("sim:run7@a"))
    #expect(fork.root == ("sim:run7", true) && stream.root == ("sim:run7", false))
    #expect(fork.isFork(of: stream))
    #expect(try #require(ChannelName("sim:run7@b")).isFork(of: fork))
    for text in ["sim:run7", "sim:run7@", "sim:run8@a", "sim:run", "@sim:run7@a"] {
      #expect(try !#require(ChannelName(text)).isFork(of: stream), "\(text)")
    }
    #expect(!fork.isFork(of: fork))
    // The platform's own.
    #expect(try #require(ChannelName("@sapphire:identity")).root.isFork == false)
  }

  @Test func differsByCase() { #expect(ChannelName("a") != ChannelName("A")) }
}

@Suite struct PositionTests {
  @Test func offsetsCount() {
    #expect(Offset.zero.next == Offset(1))
    #expect(Offset(1) < Offset(2))
    #expect(Offset(.max).next == Offset.zero)
    #expect(Offset(42).description == "42")
  }

  @Test func epochsAreShortAndSafeInURLs() {
    for text in ["a", "A_b-9", String(repeating: "x", count: 32)] {
      #expect(Epoch(text)?.text == text)
    }
    for text in ["", String(repeating: "x", count: 33), "a:b", "a b", "a/b", "é", "a.b", "a\0"] {
      #expect(Epoch(text) == nil, "\(text.debugDescription)")
    }
  }

  @Test func epochsOfEveryLengthKeepTheirText() throws {
    let letters = "AZaz09_-BYby18_-CXcx27_-DWdw36_-"
    for count in 1...Epoch.bytesMax {
      let text = String(letters.prefix(count))
      let epoch = try #require(Epoch(text))
      #expect(epoch.text == text)
      #expect(epoch.count == count)
      #expect(Epoch([UInt8](text.utf8).span) == epoch)
      if count > 1 { #expect(Epoch(String(text.dropLast())) != epoch) }
    }
  }

  @Test func takesExactlyTheBytesOfItsGrammarAtEveryPlace() {
    let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-".utf8)
    for count in [1, 7, 8, 9, 15, 16, 22, 32] {
      for place in 0..<count {
        for byte in UInt8.min...UInt8.max {
          var bytes = [UInt8](repeating: UInt8(ascii: "q"), count: count)
          bytes[place] = byte
          let epoch = Epoch(bytes.span)
          #expect((epoch != nil) == allowed.contains(byte), "\(byte) at \(place) of \(count)")
          var written: [UInt8] = []
          epoch?.append(to: &written)
          #expect(epoch == nil || written == bytes)
        }
      }
    }
  }

  @Test func aRandomEpochIsOfTheGrammar() {
    for bits: (UInt64, UInt64) in [(0, 0), (.max, .max), (0x0123_4567_89AB_CDEF, 1)] {
      let epoch = Epoch(random: bits)
      #expect(Epoch(epoch.text) == epoch)
      #expect(epoch.text.utf8.count == 22)
      var bytes = ByteWriter(reserving: 16)
      bytes.u64(bits.0.byteSwapped)
      bytes.u64(bits.1.byteSwapped)
      #expect(epoch.text == base64URL(bytes.bytes))
    }
    #expect(Epoch(random: (1, 2)) != Epoch(random: (2, 1)))
  }

  @Test func positionsAreWrittenAndRead() throws {
    let position = Position(epoch: try #require(Epoch("e-1")), offset: Offset(7))
    #expect(position.description == "e-1:7")
    #expect(Position("e-1:7") == position)
    #expect(Position("e:18446744073709551615")?.offset == Offset(.max))
    for text in [
      "", ":", "e:", ":7", "e", "e:-1", "e:18446744073709551616", "e:7:8", "e:x", "e:7 ",
    ] {
      #expect(Position(text) == nil, "\(text)")
    }
  }

  @Test func exactTextTellsApartWhatOnlyLooksAlike() {
    let (one, two) = ("caf\u{e9}", "cafe\u{301}")
    #expect(one == two, "as strings they are equal")
    #expect(ExactText(one) != ExactText(two))
    #expect(ExactText(one) == ExactText(String(decoding: Array(one.utf8), as: UTF8.self)))
    #expect(Set([ExactText(one), ExactText(two), ExactText(one)]).count == 2)
    #expect(haveSameBytes("", "") && !haveSameBytes("a", "ab"))
  }

  @Test func payloadKindsKeepTheirNumbers() {
    #expect(PayloadKind.allCases.map(\.rawValue) == [1, 2, 3, 4, 5])
    #expect(Payload(text: "é") == Payload(.text, [0xC3, 0xA9]))
    #expect(Payload(json: "{}") == Payload(.json, [0x7B, 0x7D]))
  }
}
