/// The codings of a content that we write (RFC 9110 §8.4.1).
public enum HTTPContentCoding: String, Sendable, CaseIterable {
  case gzip, deflate

  /// The one that a client likes best, by its `Accept-Encoding` (RFC 9110 §12.5.3); gzip where it likes both
  /// as well. Nil where it takes neither, says nothing, or would rather have the content as it is.
  ///
  /// - Parameter values: the field's values, in order. What can't be read counts as not there.
  public static func preferred(_ values: [String]) -> HTTPContentCoding? {
    var weights: [String: Int] = [:]
    for value in values {
      for element in value.utf8.split(separator: UInt8(ascii: ",")) {
        guard let (name, weight) = Self.element(Array(element)) else { continue }
        weights[name] = weight
      }
    }
    let others = weights["*"] ?? 0
    let plain = weights["identity"] ?? 0
    let gzip = weights["gzip"] ?? weights["x-gzip"] ?? others
    let deflate = weights["deflate"] ?? others
    let best = max(gzip, deflate)
    guard best > 0, best >= plain else { return nil }
    return gzip == best ? .gzip : .deflate
  }

  /// `gzip;q=0.5` as its name in small letters and 500.
  private static func element(_ bytes: [UInt8]) -> (String, Int)? {
    let parts = bytes.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
    guard let name = parts.first.map(trimmed), !name.isEmpty else { return nil }
    let text = String(decoding: name, as: UTF8.self).lowercased()
    guard parts.count > 1 else { return (text, 1000) }
    let parameter = String(decoding: trimmed(parts[1]), as: UTF8.self).lowercased()
    guard parts.count == 2, parameter.hasPrefix("q="), let weight = weight(parameter.dropFirst(2).utf8)
    else { return nil }
    return (text, weight)
  }

  /// A weight in thousandths (RFC 9110 §12.4.2): `0`, `1`, and up to three digits behind a point.
  private static func weight(_ text: Substring.UTF8View) -> Int? {
    let bytes = Array(text)
    guard let first = bytes.first, first == UInt8(ascii: "0") || first == UInt8(ascii: "1"),
      bytes.count <= 5, bytes.count == 1 || bytes[1] == UInt8(ascii: ".")
    else { return nil }
    var thousandths = first == UInt8(ascii: "1") ? 1000 : 0
    var place = 100
    for digit in bytes.dropFirst(2) {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      thousandths += Int(digit - UInt8(ascii: "0")) * place
      place /= 10
    }
    return thousandths <= 1000 ? thousandths : nil
  }

  private static func trimmed(_ bytes: some BidirectionalCollection<UInt8>) -> [UInt8] {
    func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    return Array(bytes.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
  }
}
