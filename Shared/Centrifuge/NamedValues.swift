internal import Bytes

/// A map from texts to values that keeps the order in which they came, so that what is written
/// follows from what was read.
///
/// Names are compared byte for byte. A name given again replaces the value, in its old place.
public struct NamedValues<Value: Sendable & Equatable>: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public let name: String
    public var value: Value

    /// Names are the same when their bytes are.
    public static func == (a: Entry, b: Entry) -> Bool {
      haveSameBytes(a.name, b.name) && a.value == b.value
    }
  }

  /// Up to this many are looked through; of more there is an index besides.
  private static var scannedMax: Int { 16 }

  public private(set) var entries: [Entry] = []
  /// Places in `entries` by name, once they are many; follows from them.
  private var index: [ExactText: Int]?

  public init() {}

  public var isEmpty: Bool { entries.isEmpty }
  public var count: Int { entries.count }

  /// Cost: a few comparisons, or one look-up where there are many. Setting nil changes nothing.
  public subscript(name: String) -> Value? {
    get { place(of: name).map { entries[$0].value } }
    set {
      guard let newValue else { return }
      if let place = place(of: name) {
        entries[place].value = newValue
      } else {
        append(Entry(name: name, value: newValue))
      }
    }
  }

  public static func == (a: NamedValues, b: NamedValues) -> Bool { a.entries == b.entries }

  private func place(of name: String) -> Int? {
    if let index { return index[ExactText(name)] }
    return entries.firstIndex { haveSameBytes($0.name, name) }
  }

  private mutating func append(_ entry: Entry) {
    entries.append(entry)
    if index != nil {
      index?[ExactText(entry.name)] = entries.count - 1
    } else if entries.count > Self.scannedMax {
      var index: [ExactText: Int] = [:]
      for (place, entry) in entries.enumerated() { index[ExactText(entry.name)] = place }
      self.index = index
    }
  }
}

extension NamedValues: ExpressibleByDictionaryLiteral {
  /// For a name given twice, the last value.
  public init(dictionaryLiteral elements: (String, Value)...) {
    self.init()
    for (name, value) in elements { self[name] = value }
  }
}
