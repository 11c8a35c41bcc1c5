/// A value that no log line, error text or debugger summary shows (D24).
///
/// Reading it is a visible act: `reveal()`. Not comparable on purpose: comparing keys takes the
/// constant-time function of Crypto.
public struct Secret<Value: Sendable>: Sendable, CustomStringConvertible,
  CustomDebugStringConvertible, CustomReflectable
{
  private let value: Value

  public init(_ value: Value) { self.value = value }

  /// The value itself. Its description is no secret any more.
  public func reveal() -> Value { value }

  public var description: String { "(secret)" }
  public var debugDescription: String { "(secret)" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
