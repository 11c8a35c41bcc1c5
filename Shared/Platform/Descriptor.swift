/// An open file descriptor, closed when its owner goes or when `close` is called first.
public struct Descriptor: ~Copyable, Sendable {
  /// The kernel's number; -1 once closed. Stays inside Platform and Loop.
  public private(set) var number: Int32

  /// Takes ownership of `number`.
  public init(owning number: Int32) { self.number = number }

  public var isOpen: Bool { number >= 0 }

  /// `close(2)`. Closing twice does nothing. Errors are not reported: the number is gone either way.
  public mutating func close() {
    guard number >= 0 else { return }
    Syscalls.close(number)
    number = -1
  }

  deinit {
    if number >= 0 { Syscalls.close(number) }
  }
}
