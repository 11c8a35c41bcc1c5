import Bytes
import JSON

/// Strict JSON: the three readers (validating, building, scanning) agree on what it is and where it
/// fails, and what is written is read as the same again.
func fuzzJSON(_ input: [UInt8]) {
  let validated = Result { () throws(JSONError) in try JSON.validate(input.span) }
  let parsed = Result { () throws(JSONError) in try JSONValue.parse(input.span) }
  switch (validated, parsed) {
  case (.success(let kind), .success(let value)): check(kind, value)
  case (.success, .failure(let error)):
    // Keys below the top level are compared only by who keeps them.
    require(error.reason == .duplicateKey, "valid, yet \(error)")
  case (.failure(let error), .success): fatalError("a value was built of \(error)")
  case (.failure(let first), .failure(let second)):
    require(second == first || second.reason == .duplicateKey, "\(first) against \(second)")
    require(second.offset <= first.offset, "a fault before the first")
  }
  for case .failure(let error) in [parsed.map { _ in () }, validated.map { _ in () }] {
    checkPlace(error, in: input)
  }
  checkScanner(input, (try? validated.get()) == .object, try? parsed.get())
}

private func check(_ kind: JSONKind, _ value: JSONValue) {
  let expected: JSONKind =
    switch value {
    case .null: .null
    case .bool: .bool
    case .number: .number
    case .string: .string
    case .array: .array
    case .object: .object
    }
  require(kind == expected, "\(kind) is \(expected)")
  require((try? JSONValue.parse(value.jsonBytes.span)) == value, "not the same when written again")
}

private func checkPlace(_ error: JSONError, in input: [UInt8]) {
  require(0...input.count ~= error.offset, "a place outside the text")
  let before = input[..<error.offset]
  require(error.line == before.count { $0 == 10 } + 1, "another line")
  let start = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
  require(error.column == error.offset - start + 1, "another column")
}

/// The scanner gives an object's members as the value has them, and refuses whatever is refused.
private func checkScanner(_ input: [UInt8], _ isObject: Bool, _ value: JSONValue?) {
  guard let members = scan(input) else {
    require(value?.object == nil, "the scanner refuses what is an object")
    return
  }
  require(isObject, "the scanner takes what is not valid")
  guard let object = value?.object else { return }
  require(members.count == object.count, "another number of members")
  for (member, expected) in zip(members, object.members) {
    require(member.keyText(in: input.span) == expected.key, "another key")
    require(member.isKey(expected.key, in: input.span), "a key that is not itself")
    let part = input[member.value]
    require((try? JSONValue.parse(Array(part).span)) == expected.value, "another value")
    require(member.text(in: input.span) == expected.value.string, "another text")
    require(member.int(in: input.span) == expected.value.int, "another number")
    require(member.bool(in: input.span) == expected.value.bool, "another truth")
    checkPayload(member, input)
  }
}

private func scan(_ input: [UInt8]) -> [JSONMember]? {
  do throws(JSONError) {
    var scanner = try JSONScanner(object: input.span)
    var members: [JSONMember] = []
    while let member = try scanner.next(input.span) { members.append(member) }
    return members
  } catch {
    checkPlace(error, in: input)
    return nil
  }
}

/// What a member `data` is as a payload becomes, in an envelope, the same value again.
private func checkPayload(_ member: JSONMember, _ input: [UInt8]) {
  let payload = PayloadJSON.payload(data: member, in: input.span)
  var writer = JSONWriter()
  writer.beginObject()
  guard (try? PayloadJSON.appendMember(payload, to: &writer)) != nil else {
    fatalError("a payload that no envelope takes")
  }
  writer.endObject()
  let value = try? JSONValue.parse(writer.bytes.span)
  let original = try? JSONValue.parse(Array(input[member.value]).span)
  // What is nested as deep as may be is one deeper in an envelope.
  require(value == nil || value?["data"] == original, "another value in the envelope")
}
