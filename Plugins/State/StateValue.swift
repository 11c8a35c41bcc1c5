import ChannelKit
import JSON

/// A member of a document that is an object.
struct StateMember: Equatable {
  let name: String
  /// The JSON as it was written, or as a patch has made it.
  var value: [UInt8]
  /// The offset of its last change.
  var version: UInt64

  var bytes: Int { name.utf8.count + value.count }
}

/// A document's value. Members of an object keep their order and their bytes.
enum StateValue: Equatable {
  case object([StateMember])
  /// Any other JSON value.
  case other([UInt8])

  /// BUDGET: a patch looks for each of its members among them one by one.
  static let membersMax = 256
  static let empty = StateValue.object([])

  /// - Shape: `json` is one valid JSON value; of an object all members have `version`.
  init(whole json: [UInt8], at version: UInt64 = 0) {
    self = .other(json)
    guard json.first == UInt8(ascii: "{") else { return }
    var members: [StateMember] = []
    do throws(JSONError) {
      var scanner = try JSONScanner(object: json.span)
      while let member = try scanner.next(json.span) {
        members.append(
          StateMember(
            name: member.keyText(in: json.span),
            value: [UInt8](copying: json.span.extracting(member.value)), version: version))
      }
      self = .object(members)
    } catch {}
  }

  var membersCount: Int { if case .object(let members) = self { members.count } else { 0 } }

  var bytes: Int {
    switch self {
    case .object(let members): members.reduce(2) { $0 + $1.bytes }
    case .other(let json): json.count
    }
  }

  /// The value after a merge patch (RFC 7396) at `version`, and whether that took a member away. What
  /// is no object is one without members before.
  ///
  /// Cost: the members of both, multiplied; what is patched inside a member is read and written anew.
  func patched(by patch: [StateMember], at version: UInt64) -> (value: StateValue, removed: Bool) {
    var members: [StateMember] = []
    if case .object(let own) = self { members = own }
    var removed = false
    for change in patch {
      let index = members.firstIndex { haveSameBytes($0.name, change.name) }
      if change.value.first == UInt8(ascii: "n") {
        if let index { members.remove(at: index) }
        removed = removed || index != nil
        continue
      }
      let value = Self.merged(change.value, into: index.map { members[$0].value })
      let member = StateMember(name: change.name, value: value, version: version)
      if let index { members[index] = member } else { members.append(member) }
    }
    return (.object(members), removed)
  }

  /// One member's value after a patch of it that is not null.
  private static func merged(_ patch: [UInt8], into old: [UInt8]?) -> [UInt8] {
    guard patch.first == UInt8(ascii: "{"), let change = try? JSONValue.parse(patch.span) else {
      return patch
    }
    let target = old.flatMap { try? JSONValue.parse($0.span) }
    return JSONValue.mergePatch(change, into: target).jsonBytes
  }

  func write(to writer: inout JSONWriter) {
    switch self {
    case .object(let members):
      writer.beginObject()
      for member in members {
        writer.key(member.name)
        writer.raw(member.value)
      }
      writer.endObject()
    case .other(let json): writer.raw(json)
    }
  }
}

extension JSONValue {
  /// RFC 7396 §2, `MergePatch`. Recursion is as deep as the patch.
  fileprivate static func mergePatch(_ patch: JSONValue, into target: JSONValue?) -> JSONValue {
    guard case .object(let changes) = patch else { return patch }
    var object = target?.object ?? JSONObject()
    for change in changes.members {
      object[change.key] =
        change.value.isNull ? nil : mergePatch(change.value, into: object[change.key])
    }
    return .object(object)
  }
}
