internal import Bytes
internal import JSON

// The protocol's messages as JSON objects. A field that isn't there, or is null, has its default
// value; members that nobody knows are checked as JSON and skipped; a member twice is refused.

/// Writes the members of the object that `writer` is in.
struct JSONFieldWriter: FieldWriter {
  var writer: JSONWriter

  mutating func bool(_ field: some MessageField, _ value: Bool) {
    if value { writer.field(field.name, true) }
  }

  mutating func uint(_ field: some MessageField, _ value: UInt64, _ zero: Zero) {
    if value != 0 || zero == .writtenInJSON { writer.field(field.name, value) }
  }

  mutating func int(_ field: some MessageField, _ value: Int64) {
    if value != 0 { writer.field(field.name, value) }
  }

  mutating func text(_ field: some MessageField, _ value: String, _ zero: Zero) {
    if !value.isEmpty || zero == .writtenInJSON { writer.field(field.name, value) }
  }

  /// A line is a message, and a line break in an event stream ends a field: those that stand
  /// between the tokens of a payload are left out. Within its strings there can be none.
  mutating func payload(_ field: some MessageField, _ value: [UInt8]) {
    guard !value.isEmpty else { return }
    writer.key(field.name)
    if value.contains(where: Self.isLineBreak) {
      writer.raw(value.filter { !Self.isLineBreak($0) })
    } else {
      writer.raw(value)
    }
  }

  private static func isLineBreak(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

  mutating func embeddedText(_ field: some MessageField, _ value: [UInt8]) {
    guard !value.isEmpty else { return }
    writer.key(field.name)
    writer.string(utf8: value.span)
  }

  mutating func message(_ field: some MessageField, _ value: some Message) {
    writer.key(field.name)
    object(value)
  }

  mutating func messages<M: Message>(_ field: some MessageField, _ values: [M], _ zero: Zero) {
    guard !values.isEmpty || zero == .writtenInJSON else { return }
    writer.key(field.name)
    writer.beginArray()
    for value in values { object(value) }
    writer.endArray()
  }

  mutating func texts(_ field: some MessageField, _ values: [String]) {
    guard !values.isEmpty else { return }
    writer.key(field.name)
    writer.beginArray()
    for value in values { writer.string(value) }
    writer.endArray()
  }

  mutating func map(_ field: some MessageField, _ values: NamedValues<String>) {
    guard !values.isEmpty else { return }
    writer.key(field.name)
    writer.beginObject()
    for entry in values.entries { writer.field(entry.name, entry.value) }
    writer.endObject()
  }

  mutating func map<M: Message>(
    _ field: some MessageField, _ values: NamedValues<M>, _ zero: Zero
  ) {
    guard !values.isEmpty || zero == .writtenInJSON else { return }
    writer.key(field.name)
    writer.beginObject()
    for entry in values.entries {
      writer.key(entry.name)
      object(entry.value)
    }
    writer.endObject()
  }

  /// The whole of a message.
  mutating func object(_ value: some Message) {
    writer.beginObject()
    value.write(to: &self)
    writer.endObject()
  }
}

/// Stands at one member of an object, or one element of an array.
struct JSONFieldReader: FieldReader {
  fileprivate let member: JSONMember
  fileprivate let name: String
  fileprivate var allowance: Allowance

  /// Reads the object that `s` is into `message`.
  static func read<M: Message>(
    _ message: inout M, _ s: borrowing Span<UInt8>, _ allowance: inout Allowance
  ) throws(CentrifugeDecodeError) {
    try allowance.enterMessage()
    var scanner = try object(s)
    while let member = try next(&scanner, s) {
      guard let field = M.Field.allCases.first(where: { member.isKey($0.name, in: s) }) else {
        continue
      }
      var value = JSONFieldReader(member: member, name: field.name, allowance: allowance)
      try message.read(field, from: &value, s)
      allowance = value.allowance
    }
    allowance.leaveMessage()
  }

  mutating func bool(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Bool {
    if member.kind == .null { return false }
    guard let value = member.bool(in: s) else { throw .wrongType(field: name) }
    return value
  }

  mutating func uint32(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> UInt32 {
    try number(s)
  }

  mutating func uint64(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> UInt64 {
    try number(s)
  }

  mutating func int32(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Int32 {
    try number(s)
  }

  mutating func int64(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Int64 {
    try number(s)
  }

  /// A whole number written without fraction or exponent.
  private func number<Value: FixedWidthInteger>(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> Value {
    if member.kind == .null { return 0 }
    guard member.kind == .number else { throw .wrongType(field: name) }
    guard let text = String(validating: s.extracting(member.value)), let value = Value(text) else {
      throw .numberOutOfRange(field: name)
    }
    return value
  }

  mutating func text(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> String {
    if member.kind == .null { return "" }
    guard let value = member.text(in: s) else { throw .wrongType(field: name) }
    return value
  }

  mutating func payload(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> [UInt8] {
    [UInt8](copying: s.extracting(member.value))
  }

  mutating func embeddedText(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> [UInt8] {
    if member.kind == .null { return [] }
    guard let value = member.utf8(in: s) else { throw .wrongType(field: name) }
    return value
  }

  mutating func message<M: Message>(
    _ message: inout M?, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    if member.kind == .null { return }
    var value = message ?? M()
    try Self.read(&value, s.extracting(try range(of: .object)), &allowance)
    message = value
  }

  mutating func messages<M: Message>(
    _ values: inout [M], _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try forEachElement(s) { reader, list throws(CentrifugeDecodeError) in
      values.append(try reader.message(list))
    }
  }

  mutating func texts(
    _ values: inout [String], _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try forEachElement(s) { reader, list throws(CentrifugeDecodeError) in
      values.append(try reader.text(list))
    }
  }

  mutating func map(
    _ values: inout NamedValues<String>, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try forEachEntry(s) { key, reader, object throws(CentrifugeDecodeError) in
      values[key] = try reader.text(object)
    }
  }

  mutating func map<M: Message>(
    _ values: inout NamedValues<M>, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try forEachEntry(s) { key, reader, object throws(CentrifugeDecodeError) in
      values[key] = try reader.message(object)
    }
  }
}

extension JSONFieldReader {
  /// A message of its own; null is one of which nothing is said.
  private mutating func message<M: Message>(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> M {
    var value: M?
    try message(&value, s)
    return value ?? M()
  }

  private mutating func forEachElement(
    _ s: borrowing Span<UInt8>,
    _ body: (inout JSONFieldReader, borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Void
  ) throws(CentrifugeDecodeError) {
    if member.kind == .null { return }
    let list = s.extracting(try range(of: .array))
    var scanner = try Self.array(list)
    while let element = try Self.next(&scanner, list) {
      try readOne(element, list, body)
    }
  }

  private mutating func forEachEntry(
    _ s: borrowing Span<UInt8>,
    _ body: (String, inout JSONFieldReader, borrowing Span<UInt8>) throws(CentrifugeDecodeError)
      -> Void
  ) throws(CentrifugeDecodeError) {
    if member.kind == .null { return }
    let object = s.extracting(try range(of: .object))
    var scanner = try Self.object(object)
    while let entry = try Self.next(&scanner, object) {
      let key = entry.keyText(in: object)
      try readOne(entry, object) { reader, object throws(CentrifugeDecodeError) in
        try body(key, &reader, object)
      }
    }
  }

  /// One of many, which counts against the same allowance.
  private mutating func readOne(
    _ one: JSONMember, _ s: borrowing Span<UInt8>,
    _ body: (inout JSONFieldReader, borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Void
  ) throws(CentrifugeDecodeError) {
    try allowance.takeItem()
    var reader = JSONFieldReader(member: one, name: name, allowance: allowance)
    try body(&reader, s)
    allowance = reader.allowance
  }
}

extension JSONFieldReader {
  /// Where a value stands that has to be an object or an array.
  private func range(of kind: JSONKind) throws(CentrifugeDecodeError) -> Range<Int> {
    guard member.kind == kind else { throw .wrongType(field: name) }
    return member.value
  }

  private static func object(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> JSONScanner {
    do { return try JSONScanner(object: s) } catch { throw .json(error) }
  }

  private static func array(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> JSONArrayScanner {
    do { return try JSONArrayScanner(array: s) } catch { throw .json(error) }
  }

  private static func next(
    _ scanner: inout JSONScanner, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> JSONMember? {
    do { return try scanner.next(s) } catch { throw .json(error) }
  }

  private static func next(
    _ scanner: inout JSONArrayScanner, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> JSONMember? {
    do { return try scanner.next(s)?.asMember } catch { throw .json(error) }
  }
}
