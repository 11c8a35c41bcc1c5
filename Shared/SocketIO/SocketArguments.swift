internal import Bytes
public import JSON

/// Where in the JSON of a packet an attachment stands.
public struct SocketPlaceholder: Hashable, Sendable {
  /// The whole object `{"_placeholder":true,"num":0}`.
  public let range: Range<Int>
  /// Its number: an index into the packet's attachments.
  public let attachment: Int

  public init(range: Range<Int>, attachment: Int) {
    self.range = range
    self.attachment = attachment
  }
}

/// One argument, or a part of one, as a payload.
public enum SocketValue: Hashable, Sendable {
  /// JSON as it was written; no bare string.
  case json([UInt8])
  /// The characters of a JSON string, UTF-8.
  case text([UInt8])
  case binary([UInt8])
  /// JSON with placeholders that are numbered from 0 in the order in which they stand, and what
  /// they stand for.
  case jsonWithParts([UInt8], [[UInt8]])
}

/// The arguments of an event or an acknowledgement: bytes that were checked and not taken apart.
public struct SocketArguments: Hashable, Sendable {
  /// The JSON array of the packet, as it was written; an event's name stands first in it.
  public let json: [UInt8]
  /// The arguments in `json`, an event's name left out.
  public let items: [JSONElement]
  public let attachments: [[UInt8]]
  /// In the order in which they stand in `json`; each attachment at most once, not all need to be.
  public let placeholders: [SocketPlaceholder]

  init(
    json: [UInt8], items: [JSONElement], attachments: [[UInt8]],
    placeholders: [SocketPlaceholder]
  ) {
    self.json = json
    self.items = items
    self.attachments = attachments
    self.placeholders = placeholders
  }

  public var count: Int { items.count }

  /// The argument of that index; nil where there is none.
  public func value(at index: Int) -> SocketValue? {
    guard items.indices.contains(index) else { return nil }
    return value(items[index].value)
  }

  /// What stands in `range` of `json`, which is one JSON value of it.
  ///
  /// - Cost: a copy of it; with placeholders inside, one more of what they stand for.
  public func value(_ range: Range<Int>) -> SocketValue {
    let inside = placeholders.filter {
      range.lowerBound <= $0.range.lowerBound && $0.range.upperBound <= range.upperBound
    }
    guard let first = inside.first else { return plain(range) }
    if first.range == range { return .binary(attachments[first.attachment]) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(range.count)
    var offset = range.lowerBound
    for (number, placeholder) in inside.enumerated() {
      bytes.append(contentsOf: json[offset..<placeholder.range.lowerBound])
      SocketBodyWriter.appendPlaceholder(number, to: &bytes)
      offset = placeholder.range.upperBound
    }
    bytes.append(contentsOf: json[offset..<range.upperBound])
    return .jsonWithParts(bytes, inside.map { attachments[$0.attachment] })
  }

  private func plain(_ range: Range<Int>) -> SocketValue {
    let element = JSONElement(
      value: range, kind: json[range].first == UInt8(ascii: "\"") ? .string : .object)
    if let text = element.text(in: json.span) { return .text(Array(text.utf8)) }
    return .json(Array(json[range]))
  }
}
