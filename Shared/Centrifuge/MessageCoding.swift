// Every message of the protocol says once what its fields are, and both encodings follow from that:
// how it is written (`write`), and what each field changes (`read`). A new message is a conformance
// and nothing else; a new encoding is a `FieldWriter` and a `FieldReader`.

/// A field of a message: its number in Protobuf, its name in JSON.
protocol MessageField: RawRepresentable, CaseIterable, Sendable where RawValue == UInt32 {
  var name: String { get }
}

/// A message of the protocol. What a frame doesn't mention has the value that `init()` gives it.
protocol Message: Equatable, Sendable {
  associatedtype Field: MessageField
  init()
  func write(to out: inout some FieldWriter)
  /// Takes over the value of one field, from the reader that stands at it.
  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError)
}

/// What becomes of a zero or an empty text. Protobuf never writes them; JSON clients read some
/// fields without asking whether they are there.
enum Zero { case omitted, writtenInJSON }

protocol FieldWriter {
  mutating func bool(_ field: some MessageField, _ value: Bool)
  mutating func uint(_ field: some MessageField, _ value: UInt64, _ zero: Zero)
  mutating func int(_ field: some MessageField, _ value: Int64)
  mutating func text(_ field: some MessageField, _ value: String, _ zero: Zero)
  /// An application's bytes: in JSON one value as it is, or nothing where there are none.
  mutating func payload(_ field: some MessageField, _ value: [UInt8])
  /// Bytes that stand as a string in JSON.
  mutating func embeddedText(_ field: some MessageField, _ value: [UInt8])
  mutating func message(_ field: some MessageField, _ value: some Message)
  mutating func messages<M: Message>(_ field: some MessageField, _ values: [M], _ zero: Zero)
  mutating func texts(_ field: some MessageField, _ values: [String])
  mutating func map(_ field: some MessageField, _ values: NamedValues<String>)
  mutating func map<M: Message>(_ field: some MessageField, _ values: NamedValues<M>, _ zero: Zero)
}

extension FieldWriter {
  mutating func uint(_ field: some MessageField, _ value: UInt64) { uint(field, value, .omitted) }

  mutating func uint(_ field: some MessageField, _ value: UInt32) {
    uint(field, UInt64(value), .omitted)
  }

  mutating func text(_ field: some MessageField, _ value: String) { text(field, value, .omitted) }

  mutating func message(_ field: some MessageField, _ value: (some Message)?) {
    if let value { message(field, value) }
  }

  mutating func messages<M: Message>(_ field: some MessageField, _ values: [M]) {
    messages(field, values, .omitted)
  }

  mutating func map<M: Message>(_ field: some MessageField, _ values: NamedValues<M>) {
    map(field, values, .omitted)
  }
}

/// Stands at one field of one message; each is read once. JSON's null is a zero, an empty text, no
/// message: only as a payload it is something.
protocol FieldReader {
  mutating func bool(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Bool
  mutating func uint32(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> UInt32
  mutating func uint64(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> UInt64
  mutating func int32(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Int32
  mutating func int64(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> Int64
  mutating func text(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> String
  mutating func payload(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> [UInt8]
  mutating func embeddedText(_ s: borrowing Span<UInt8>) throws(CentrifugeDecodeError) -> [UInt8]
  /// Reads on in `message`, or into a new one: Protobuf may bring a message in parts.
  mutating func message<M: Message>(
    _ message: inout M?, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError)
  /// Appends what there is: Protobuf brings elements one at a time, JSON all at once.
  mutating func messages<M: Message>(
    _ values: inout [M], _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError)
  mutating func texts(
    _ values: inout [String], _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError)
  mutating func map(
    _ values: inout NamedValues<String>, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError)
  mutating func map<M: Message>(
    _ values: inout NamedValues<M>, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError)
}

/// What is left of the limits while a message is read.
struct Allowance {
  private var items: Int
  private var depth: Int

  init(_ limits: CentrifugeLimits) {
    items = limits.itemsMax
    depth = limits.depthMax
  }

  mutating func takeItem() throws(CentrifugeDecodeError) {
    guard items > 0 else { throw .tooManyItems }
    items -= 1
  }

  mutating func enterMessage() throws(CentrifugeDecodeError) {
    guard depth > 0 else { throw .tooDeep }
    depth -= 1
  }

  mutating func leaveMessage() { depth += 1 }
}
