internal import Bytes

extension FossilDelta {
  /// A delta that makes `target` of `base`.
  ///
  /// - Limits: base and target at most `bytesMax`; larger ones are a programmer error. The delta may
  ///   be longer than the target (by some 20 bytes): where it is no shorter, send the target itself.
  /// - Cost: linear in both, at most `DeltaMaker.candidatesMax` comparisons per byte of the target;
  ///   at most three bytes of memory per byte of the base.
  public static func make(
    from base: borrowing Span<UInt8>, to target: borrowing Span<UInt8>, cut: Cut = .anywhere
  ) -> [UInt8] {
    precondition(base.count <= bytesMax && target.count <= bytesMax, "too large for a delta")
    var delta: [UInt8] = []
    append(target.count, to: &delta)
    delta.append(UInt8(ascii: "\n"))
    let maker = DeltaMaker(base)
    var done = 0
    var position = 0
    // What was copied last says where the base goes on, which is the likeliest next match.
    var shift = 0
    while position <= target.count - DeltaMaker.blockBytes {
      guard
        var match = maker.longestMatch(base, target, at: position, notBefore: done, shift: shift),
        match.trim(target, cut), match.isWorthwhile
      else {
        position += 1
        continue
      }
      insert(target.extracting(done..<match.start), into: &delta)
      append(match.count, to: &delta)
      delta.append(UInt8(ascii: "@"))
      append(match.baseStart, to: &delta)
      delta.append(UInt8(ascii: ","))
      done = match.start + match.count
      position = max(done, position + 1)
      shift = match.baseStart - match.start
    }
    insert(target.extracting(done..<target.count), into: &delta)
    append(Int(checksum(target)), to: &delta)
    delta.append(UInt8(ascii: ";"))
    return delta
  }

  private static func insert(_ bytes: borrowing Span<UInt8>, into delta: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    append(bytes.count, to: &delta)
    delta.append(UInt8(ascii: ":"))
    delta.append(copying: bytes)
  }
}

/// Bytes of the target that stand in the base as well.
private struct DeltaMatch {
  var start: Int
  var baseStart: Int
  var count: Int

  /// Whether copying takes fewer bytes than inserting, a split insert's second head included.
  var isWorthwhile: Bool {
    count > FossilDelta.digitCount(count) + FossilDelta.digitCount(baseStart) + 4
  }

  /// Moves both ends inwards to where `cut` allows them; false where nothing is left.
  ///
  /// By three bytes each at most, which is all that UTF-8 can need: a target that isn't text would
  /// otherwise be run through again and again.
  mutating func trim(_ target: borrowing Span<UInt8>, _ cut: FossilDelta.Cut) -> Bool {
    guard cut == .betweenCharacters else { return true }
    for _ in 0..<3 where count > 0 && Self.isContinuation(target[start]) {
      start += 1
      baseStart += 1
      count -= 1
    }
    for _ in 0..<3 where count > 0 && start + count < target.count {
      guard Self.isContinuation(target[start + count]) else { break }
      count -= 1
    }
    return count > 0
  }

  /// RFC 3629 §3: a byte that stands within a sequence.
  private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
}

/// An index of the base's blocks by their bytes.
///
/// Every `stepBytes`-th block of eight bytes is in a chain of those with the same hash; the target
/// is looked up at every byte. So a common run is surely found from `blockBytes + stepBytes - 1`
/// bytes on, which is about where copying begins to pay.
private struct DeltaMaker {
  static let blockBytes = 8
  static let stepBytes = 4
  /// BUDGET: blocks of one chain that are looked at for a position. Repetitive bases have long
  /// chains; a bound keeps the time linear.
  static let candidatesMax = 16
  /// A match this long is taken without looking for a longer one.
  static let goodBytes = 128

  /// By hash: 1 + number of the chain's first block; 0 for none.
  private var heads: [UInt32]
  /// By block: 1 + number of the next block of its chain.
  private var next: [UInt32]
  private let hashShift: UInt64

  init(_ base: borrowing Span<UInt8>) {
    let blocks =
      base.count < Self.blockBytes ? 0 : (base.count - Self.blockBytes) / Self.stepBytes + 1
    let bits = max(4, Int.bitWidth - blocks.leadingZeroBitCount)
    hashShift = UInt64(64 - bits)
    heads = [UInt32](repeating: 0, count: 1 << bits)
    next = [UInt32](repeating: 0, count: blocks)
    // From the end, so that a chain begins with the lowest offset, whose number is the shortest.
    for block in (0..<blocks).reversed() {
      guard let word = base.word(at: block * Self.stepBytes) else { continue }
      let slot = hash(word)
      next[block] = heads[slot]
      heads[slot] = UInt32(truncatingIfNeeded: block + 1)
    }
  }

  private func hash(_ word: UInt64) -> Int {
    Int(truncatingIfNeeded: (word &* 0x9E37_79B9_7F4A_7C15) >> hashShift)
  }

  /// The longest run around `position` that the base has too, as far as the candidates show.
  func longestMatch(
    _ base: borrowing Span<UInt8>, _ target: borrowing Span<UInt8>, at position: Int,
    notBefore floor: Int, shift: Int
  ) -> DeltaMatch? {
    guard let word = target.word(at: position) else { return nil }
    var best: DeltaMatch?
    let likely = position + shift
    if likely >= 0, base.word(at: likely) == word {
      best = Self.extend(base, likely, target, position, floor)
    }
    var block = heads[hash(word)]
    var candidates = Self.candidatesMax
    while block > 0, candidates > 0, best.map({ $0.count < Self.goodBytes }) ?? true {
      let offset = Int(block - 1) * Self.stepBytes
      if base.word(at: offset) == word {
        let found = Self.extend(base, offset, target, position, floor)
        if found.count > best?.count ?? 0 { best = found }
      }
      block = next[Int(block - 1)]
      candidates -= 1
    }
    return best
  }

  /// The whole run that a block in common belongs to.
  private static func extend(
    _ base: borrowing Span<UInt8>, _ baseOffset: Int, _ target: borrowing Span<UInt8>,
    _ position: Int, _ floor: Int
  ) -> DeltaMatch {
    var end = position + blockBytes
    var baseEnd = baseOffset + blockBytes
    while let a = target.word(at: end), let b = base.word(at: baseEnd), a == b {
      end += 8
      baseEnd += 8
    }
    while end < target.count, baseEnd < base.count, target[end] == base[baseEnd] {
      end += 1
      baseEnd += 1
    }
    var start = position
    var baseStart = baseOffset
    while start > floor, baseStart > 0, target[start - 1] == base[baseStart - 1] {
      start -= 1
      baseStart -= 1
    }
    return DeltaMatch(start: start, baseStart: baseStart, count: end - start)
  }
}
