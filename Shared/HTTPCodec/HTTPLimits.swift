/// How large the head of a message may be, in bytes.
public struct HTTPLimits: Equatable, Sendable {
  /// All of it, with its last empty line.
  public let headBytesMax: Int
  /// One field's line, without its end.
  public let fieldBytesMax: Int
  public let fieldsMax: Int
  public let targetBytesMax: Int

  /// A head of more than 65,535 bytes can't be described by what is kept of it: a programmer error.
  public init(
    headBytesMax: Int = 16_384, fieldBytesMax: Int = 8_192, fieldsMax: Int = 100,
    targetBytesMax: Int = 8_192
  ) {
    precondition(headBytesMax <= 65_535, "a head is described by 16-bit offsets")
    self.headBytesMax = headBytesMax
    self.fieldBytesMax = fieldBytesMax
    self.fieldsMax = fieldsMax
    self.targetBytesMax = targetBytesMax
  }

  /// What a request line may hold besides its target: a method, the version, spaces.
  static let startLineSlack = 32
  /// The trailer section of a chunked body, all fields together.
  static let trailerBytesMax = 8_192
  static let trailerFieldsMax = 100
  /// Chunk extensions of one body, all together. They are skipped (RFC 9112 §7.1.1).
  static let extensionBytesMax = 4_096
}
