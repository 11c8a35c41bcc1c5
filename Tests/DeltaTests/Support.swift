import Bytes
import Delta
import Foundation
import TestKit
import Testing

/// What `delta` makes of `base`, with room for anything a test makes.
func apply(_ delta: [UInt8], to base: [UInt8], targetBytesMax: Int = 1 << 20) throws(DeltaError)
  -> [UInt8]
{
  try FossilDelta.apply(delta.span, to: base.span, targetBytesMax: targetBytesMax)
}

func make(_ base: [UInt8], _ target: [UInt8], cut: FossilDelta.Cut = .anywhere) -> [UInt8] {
  FossilDelta.make(from: base.span, to: target.span, cut: cut)
}

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// A delta that Fossil itself made.
struct FossilVector: Sendable, CustomTestStringConvertible {
  var label: String
  var base: [UInt8]
  var target: [UInt8]
  var delta: [UInt8]
  var testDescription: String { label }

  static let all: [FossilVector] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Vectors/fossil.hex")
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    var vectors: [FossilVector] = []
    for section in text.split(separator: "## ").dropFirst() {
      let lines = section.split(separator: "\n").map(String.init)
      guard lines.count == 4 else { continue }
      let values = lines.dropFirst().compactMap { $0 == "-" ? [] : bytes(hex: $0) }
      guard values.count == 3 else { continue }
      vectors.append(
        FossilVector(label: lines[0], base: values[0], target: values[1], delta: values[2]))
    }
    return vectors
  }()
}

/// A state as an application publishes it, of which a little changes from one to the next.
struct Scenery {
  var random: SeededGenerator
  private var units: [(x: Int, y: Int, name: String)]
  private var tick = 0

  init(seed: UInt64, units count: Int) {
    random = SeededGenerator(seed: seed)
    units = (0..<count).map { (x: $0 * 31 % 977, y: $0 * 17 % 613, name: "Fähre \($0) ⛴️") }
  }

  mutating func step() {
    tick += 1
    for _ in 0..<3 {
      let index = Int.random(in: 0..<units.count, using: &random)
      units[index].x += Int.random(in: -9...9, using: &random)
    }
    if tick.isMultiple(of: 5) { units.append((x: tick, y: 0, name: "ναῦς \(tick)")) }
    if tick.isMultiple(of: 7) { units.remove(at: Int.random(in: 0..<units.count, using: &random)) }
    if tick.isMultiple(of: 11) { units[0].name = tick.isMultiple(of: 2) ? "Ähre" : "Öhre" }
  }

  var json: [UInt8] {
    let list = units.map { #"{"x":\#($0.x),"y":\#($0.y),"name":"\#($0.name)"}"# }
    return utf8(#"{"tick":\#(tick),"units":[\#(list.joined(separator: ","))]}"#)
  }
}
