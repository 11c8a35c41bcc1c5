import Deflate
import Testing

/// Reliability catalogue, row 68: what a context costs is known before it is granted.
@Suite struct MemoryTests {
  @Test func aCompressorHoldsWhatItsFormulaSays() {
    let message = telling(100_000)
    for windowBits in MessageDeflater.windowBits {
      for memoryLevel in MessageDeflater.memoryLevels {
        let stated = MessageDeflater.memoryBytes(windowBits: windowBits, memoryLevel: memoryLevel)
        let deflater = MessageDeflater(
          context: .keptBetweenMessages, windowBits: windowBits, memoryLevel: memoryLevel)
        _ = deflater.compress(message)
        let held = deflater.heldBytes
        #expect(held <= stated, "\(held) bytes, stated \(stated) at \(windowBits), \(memoryLevel)")
        #expect(held >= stated * 7 / 8, "\(held) bytes, stated \(stated)")
      }
    }
  }

  @Test func aDecompressorHoldsWhatItsFormulaSays() throws {
    for windowBits in MessageInflater.windowBits {
      let stated = MessageInflater.memoryBytes(windowBits: windowBits)
      let inflater = MessageInflater(context: .keptBetweenMessages, windowBits: windowBits)
      #expect(inflater.heldBytes <= stated - 1 << windowBits)
      let deflater = MessageDeflater(context: .newForEachMessage, windowBits: max(9, windowBits))
      let message = windowBits == 8 ? [0] : deflater.compress(telling(100_000))
      for _ in 0..<3 { _ = try inflater.inflate(message) }
      #expect(inflater.heldBytes <= stated, "\(inflater.heldBytes) bytes, stated \(stated)")
      if windowBits > 8 { #expect(inflater.heldBytes >= stated * 7 / 8) }
    }
  }
}
