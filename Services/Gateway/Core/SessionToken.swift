internal import Bytes
internal import Crypto

/// The secret by which presence knows a client that comes back: 128 random bits, 22 characters.
///
/// Only the client and its gateway ever hold it; presence and other gateways know its public name.
struct SessionToken: Hashable {
  private let high: UInt64
  private let low: UInt64

  init() {
    var generator = SystemRandomNumberGenerator()
    high = generator.next()
    low = generator.next()
  }

  /// The token that `text` spells as we do; nil for anything else.
  init?(_ text: String) {
    guard text.utf8.count == 22, let decoded = Bytes.bytes(base64: text) else { return nil }
    var cursor = ByteCursor(decoded.span)
    do throws(ByteError) {
      high = try cursor.u64(decoded.span)
      low = try cursor.u64(decoded.span)
    } catch { return nil }
    guard cursor.isAtEnd, self.text == text else { return nil }
  }

  private var bytes: [UInt8] {
    var writer = ByteWriter(reserving: 16)
    writer.u64(high)
    writer.u64(low)
    return writer.bytes
  }

  var text: String { base64URL(bytes) }

  /// What stands for the session outside its gateway: 88 bits of the token's SHA-256. With 15
  /// characters it is a string that needs no memory of its own, in a service that keeps very many.
  var publicName: String { base64URL(Array(SHA256.digest(bytes).prefix(11))) }
}
