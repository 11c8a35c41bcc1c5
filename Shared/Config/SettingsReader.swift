internal import JSON

/// Why a value can't be what a setting needs, with the remedy in the sentence.
struct Refused: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}

/// What reading a whole configuration finds out besides the settings.
struct ConfigReading {
  let file: String
  var problems: [ConfigProblem] = []
  /// The keys that each object was asked for, by its path: what can be written there.
  var keys: [String: [String]] = [:]
  /// The hooks that have an address, once their section was read.
  var hooks: Set<HookName> = []
  /// Nil: whether a channel type can serve a rule is not asked.
  var channelFault: ChannelTypeCheck?

  init(file: String) { self.file = file }

  mutating func report(_ place: ConfigPlace, _ setting: String, _ reason: String) {
    problems.append(ConfigProblem(file: file, place: place, setting: setting, reason: reason))
  }
}

/// Reads the settings of one object, key by key. A key nobody asked for is a problem, and a value
/// that can't be converted is one too and counts as absent, so that one pass finds them all.
struct SettingsReader {
  let path: String
  let place: ConfigPlace
  private var members: [ConfigMember]
  private var asked: [String] = []

  /// Reads `value`, which is absent or has to be an object.
  init(_ value: ConfigValue?, path: String, _ reading: inout ConfigReading) {
    self.path = path
    place = value?.place ?? .defaults
    members = []
    switch value?.content {
    case nil, .null: break
    case .object(let found): members = found
    default:
      reading.report(place, path, "write an object here: { … }, not \(value?.noun ?? "nothing")")
    }
  }

  func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  /// The value of `key`, taken out; nil where it is absent or null.
  mutating func take(_ key: String) -> ConfigValue? {
    asked.append(key)
    guard let index = members.firstIndex(where: { $0.key == key }) else { return nil }
    let value = members.remove(at: index).value
    return value.content == .null ? nil : value
  }

  /// The setting `key`, converted; nil where it is absent or refused.
  mutating func read<Setting>(
    _ key: String, _ reading: inout ConfigReading,
    _ convert: (ConfigValue) throws(Refused) -> Setting
  ) -> Setting? {
    guard let value = take(key) else { return nil }
    do throws(Refused) {
      return try convert(value)
    } catch {
      reading.report(value.place, path(of: key), error.reason)
      return nil
    }
  }

  /// The setting `key`, a list or one element alone, each element converted.
  ///
  /// - Parameter ifEmpty: what to say of a list without elements; nil: it may be empty.
  mutating func list<Setting>(
    _ key: String, _ reading: inout ConfigReading, ifEmpty: String? = nil,
    _ convert: (ConfigValue) throws(Refused) -> Setting
  ) -> [Setting]? {
    guard let value = take(key) else { return nil }
    if let ifEmpty, value.elements.isEmpty { reading.report(value.place, path(of: key), ifEmpty) }
    var settings: [Setting] = []
    for (index, element) in value.elements.enumerated() {
      do throws(Refused) {
        settings.append(try convert(element))
      } catch {
        let isList = if case .array = value.content { true } else { false }
        let setting = path(of: key) + (isList ? "[\(index)]" : "")
        reading.report(element.place, setting, error.reason)
      }
    }
    return settings
  }

  /// Reports every key that was not asked for, with the nearest that exists.
  mutating func finish(_ reading: inout ConfigReading) {
    reading.keys[path] = asked
    for member in members {
      let hint = nearest(to: member.key, among: asked).map { "did you mean \"\($0)\"?" }
      let known = "known here: \(asked.joined(separator: ", "))"
      reading.report(member.place, path(of: member.key), "unknown key; \(hint ?? known)")
    }
  }
}

// What a value can be converted to. An environment variable holds text only, so numbers, booleans
// and lists are read from it where a file has to write them as such.
extension ConfigValue {
  /// The elements of a list; one value alone is a list of one. In a variable commas divide.
  var elements: [ConfigValue] {
    switch (content, place) {
    case (.array(let elements), _): return elements
    case (.string(let text), .variable):
      return text.split(separator: ",").map { part in
        ConfigValue(.string(part.trimmingSpaces), at: place)
      }
    default: return [self]
    }
  }

  private var isFromVariable: Bool { if case .variable = place { true } else { false } }

  func text() throws(Refused) -> String {
    guard case .string(let text) = content else { throw Refused("write a string, not \(noun)") }
    guard !text.isEmpty else { throw Refused("write a string that is not empty") }
    guard !text.utf8.contains(0) else { throw Refused("a NUL can't be part of this") }
    return text
  }

  func bool() throws(Refused) -> Bool {
    switch content {
    case .bool(let value): return value
    case .string("true") where isFromVariable: return true
    case .string("false") where isFromVariable: return false
    default: throw Refused("write true or false, not \(noun)")
    }
  }

  func int(in range: ClosedRange<Int64>) throws(Refused) -> Int {
    let needed = "write a whole number from \(range.lowerBound) to \(range.upperBound)"
    let value: Int64?
    switch content {
    case .number(let number): value = number.int
    case .string(let text) where isFromVariable: value = Int64(text)
    default: throw Refused("\(needed), not \(noun)")
    }
    guard let value, range.contains(value) else { throw Refused("\(needed)") }
    return Int(value)
  }

  func duration(in range: ClosedRange<Int64>) throws(Refused) -> Duration {
    let bounds =
      "\(written(milliseconds: range.lowerBound)) to "
      + written(milliseconds: range.upperBound)
    guard case .string(let text) = content, let value = milliseconds(written: text) else {
      throw Refused("write a duration with its unit (ms, s, m, h, d), such as \"5s\"; \(bounds)")
    }
    guard range.contains(value) else { throw Refused("write a duration from \(bounds)") }
    return .milliseconds(value)
  }

  func bytes(in range: ClosedRange<Int64>) throws(Refused) -> Int {
    let bounds = "\(written(bytes: range.lowerBound)) to \(written(bytes: range.upperBound))"
    let value: Int64?
    switch content {
    case .number(let number): value = number.int
    case .string(let text) where isFromVariable: value = byteCount(written: text) ?? Int64(text)
    case .string(let text): value = byteCount(written: text)
    default: value = nil
    }
    guard let value else {
      throw Refused("write a size in bytes or with KiB, MiB, GiB, such as \"64KiB\"; \(bounds)")
    }
    guard range.contains(value) else { throw Refused("write a size from \(bounds)") }
    return Int(value)
  }

  func choice<Choice: CaseIterable & RawRepresentable<String>>(
    of type: Choice.Type
  ) throws(Refused) -> Choice {
    let names = Choice.allCases.map(\.rawValue)
    if case .string(let text) = content, let choice = Choice(rawValue: text) { return choice }
    throw Refused("write one of \(names.map { "\"\($0)\"" }.joined(separator: ", "))")
  }

  func endpoint() throws(Refused) -> Endpoint {
    do throws(Endpoint.Refusal) {
      return try Endpoint(try endpointText())
    } catch {
      throw Refused(error.description)
    }
  }

  private func endpointText() throws(Endpoint.Refusal) -> String {
    guard case .string(let text) = content else { throw .shape }
    return text
  }
}

extension Substring {
  /// Without spaces at either end.
  var trimmingSpaces: String {
    var rest = self
    while rest.first == " " { rest.removeFirst() }
    while rest.last == " " { rest.removeLast() }
    return String(rest)
  }
}
