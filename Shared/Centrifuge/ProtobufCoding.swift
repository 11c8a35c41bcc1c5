internal import Bytes

// The protocol's messages as Protobuf. proto3: what has its default value is not written; a field
// given again replaces its value, adds to a list, or is merged into a message.

/// Writes one message's fields; messages within it are written by the same writer.
struct ProtobufFieldWriter: FieldWriter {
  var writer: ProtobufWriter

  mutating func bool(_ field: some MessageField, _ value: Bool) {
    if value { writer.field(field.rawValue, varint: 1) }
  }

  mutating func uint(_ field: some MessageField, _ value: UInt64, _ zero: Zero) {
    if value != 0 { writer.field(field.rawValue, varint: value) }
  }

  mutating func int(_ field: some MessageField, _ value: Int64) {
    if value != 0 { writer.field(field.rawValue, int: value) }
  }

  mutating func text(_ field: some MessageField, _ value: String, _ zero: Zero) {
    if !value.isEmpty { writer.field(field.rawValue, text: value) }
  }

  mutating func payload(_ field: some MessageField, _ value: [UInt8]) {
    if !value.isEmpty { writer.field(field.rawValue, bytes: value) }
  }

  mutating func embeddedText(_ field: some MessageField, _ value: [UInt8]) {
    payload(field, value)
  }

  mutating func message(_ field: some MessageField, _ value: some Message) {
    let mark = writer.beginMessage(field.rawValue)
    value.write(to: &self)
    writer.endMessage(mark)
  }

  mutating func messages<M: Message>(_ field: some MessageField, _ values: [M], _ zero: Zero) {
    for value in values { message(field, value) }
  }

  mutating func texts(_ field: some MessageField, _ values: [String]) {
    for value in values { writer.field(field.rawValue, text: value) }
  }

  mutating func map(_ field: some MessageField, _ values: NamedValues<String>) {
    for entry in values.entries {
      let mark = writer.beginMessage(field.rawValue)
      writer.field(1, text: entry.name)
      writer.field(2, text: entry.value)
      writer.endMessage(mark)
    }
  }

  mutating func map<M: Message>(
    _ field: some MessageField, _ values: NamedValues<M>, _ zero: Zero
  ) {
    for entry in values.entries {
      let mark = writer.beginMessage(field.rawValue)
      writer.field(1, text: entry.name)
      let value = writer.beginMessage(2)
      entry.value.write(to: &self)
      writer.endMessage(value)
      writer.endMessage(mark)
    }
  }
}

/// Stands behind a field's tag.
struct ProtobufFieldReader: FieldReader {
  fileprivate var reader: ProtobufReader
  fileprivate var allowance: Allowance
  fileprivate let tag: ProtobufTag
  fileprivate let name: String

  /// Reads the fields in `range` of `s` into `message`; those it doesn't know are skipped.
  static func read<M: Message>(
    _ message: inout M, _ range: Range<Int>, _ s: borrowing Span<UInt8>,
    _ allowance: inout Allowance
  ) throws(CentrifugeDecodeError) {
    try allowance.enterMessage()
    var reader = ProtobufReader(range)
    while let tag = try protobuf({ () throws(ProtobufError) in try reader.next(s) }) {
      guard let field = M.Field(rawValue: tag.number) else {
        try protobuf { () throws(ProtobufError) in try reader.skip(tag, s) }
        continue
      }
      var value = ProtobufFieldReader(
        reader: reader, allowance: allowance, tag: tag, name: field.name)
      try message.read(field, from: &value, s)
      (reader, allowance) = (value.reader, value.allowance)
    }
    allowance.leaveMessage()
  }

  mutating func bool(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Bool {
    try varint(s) != 0
  }

  /// A number that is too large loses its high bits, as the encoding guide says of all its readers.
  mutating func uint32(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> UInt32 {
    UInt32(truncatingIfNeeded: try varint(s))
  }

  mutating func uint64(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> UInt64 {
    try varint(s)
  }

  mutating func int32(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Int32 {
    Int32(truncatingIfNeeded: try varint(s))
  }

  mutating func int64(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Int64 {
    Int64(bitPattern: try varint(s))
  }

  mutating func text(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> String {
    try require(.lengthDelimited)
    return try text(&reader, s)
  }

  mutating func payload(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> [UInt8] {
    [UInt8](copying: s.extracting(try range(s)))
  }

  mutating func embeddedText(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> [UInt8] {
    try payload(s)
  }

  mutating func message<M: Message>(
    _ message: inout M?, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    var value = message ?? M()
    try Self.read(&value, try range(s), s, &allowance)
    message = value
  }

  mutating func messages<M: Message>(
    _ values: inout [M], _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try allowance.takeItem()
    var value = M()
    try Self.read(&value, try range(s), s, &allowance)
    values.append(value)
  }

  mutating func texts(
    _ values: inout [String], _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try allowance.takeItem()
    values.append(try text(s))
  }

  mutating func map(
    _ values: inout NamedValues<String>, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    var (name, value) = ("", "")
    var entry = try beginEntry(s)
    while let tag = try next(&entry, s) {
      if tag.number == 1 { name = try text(&entry, s) } else { value = try text(&entry, s) }
    }
    values[name] = value
  }

  mutating func map<M: Message>(
    _ values: inout NamedValues<M>, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    var name = ""
    var value = M()
    var entry = try beginEntry(s)
    while let tag = try next(&entry, s) {
      if tag.number == 1 {
        name = try text(&entry, s)
      } else {
        let range = try Self.protobuf { () throws(ProtobufError) in try entry.range(s) }
        try Self.read(&value, range, s, &allowance)
      }
    }
    values[name] = value
  }
}

extension ProtobufFieldReader {
  /// An entry of a map is a message: 1 is the name, 2 the value.
  private mutating func beginEntry(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> ProtobufReader {
    try allowance.takeItem()
    return ProtobufReader(try range(s))
  }

  /// The tag of an entry's next field, which is 1 or 2; others are skipped.
  private func next(
    _ entry: inout ProtobufReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> ProtobufTag? {
    while let tag = try Self.protobuf({ () throws(ProtobufError) in try entry.next(s) }) {
      if tag.number > 2 {
        try Self.protobuf { () throws(ProtobufError) in try entry.skip(tag, s) }
      } else if tag.wireType == .lengthDelimited {
        return tag
      } else {
        throw .wrongType(field: name)
      }
    }
    return nil
  }

  private func text(
    _ reader: inout ProtobufReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> String {
    try Self.protobuf { () throws(ProtobufError) in try reader.text(s) }
  }

  private mutating func range(
    _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> Range<Int> {
    try require(.lengthDelimited)
    return try Self.protobuf { () throws(ProtobufError) in try reader.range(s) }
  }

  private mutating func varint(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> UInt64 {
    try require(.varint)
    return try Self.protobuf { () throws(ProtobufError) in try reader.varint(s) }
  }

  private func require(_ wireType: ProtobufWireType) throws(CentrifugeDecodeError) {
    guard tag.wireType == wireType else { throw .wrongType(field: name) }
  }

  private static func protobuf<Value>(
    _ body: () throws(ProtobufError) -> Value
  ) throws(CentrifugeDecodeError) -> Value {
    do { return try body() } catch { throw .protobuf(error) }
  }
}
