import Bytes
import Delta

/// The input is taken for a delta of something known, and for a base and a target: what is made of
/// them gives the target again, and is text where that is.
func fuzzFossilDelta(_ input: [UInt8]) {
  let known = [UInt8](0...255)
  if let target = try? FossilDelta.apply(input.span, to: known.span, targetBytesMax: 1 << 16) {
    require(target.count <= 1 << 16, "a target over its limit")
    let again = FossilDelta.make(from: known.span, to: target.span)
    require(apply(again, to: known) == target, "another target")
  }
  let middle = input.first.map { Int($0) * input.count / 256 } ?? 0
  let (base, target) = (Array(input[..<middle]), Array(input[middle...]))
  require(apply(FossilDelta.make(from: base.span, to: target.span), to: base) == target, "bytes")
  let text = FossilDelta.make(from: base.span, to: target.span, cut: .betweenCharacters)
  require(apply(text, to: base) == target, "text")
  if String(validating: target, as: UTF8.self) != nil {
    require(String(validating: text, as: UTF8.self) != nil, "half a character")
  }
  require(text.count <= target.count + 24, "longer than need be")
}

private func apply(_ delta: [UInt8], to base: [UInt8]) -> [UInt8]? {
  try? FossilDelta.apply(delta.span, to: base.span, targetBytesMax: 1 << 16)
}
