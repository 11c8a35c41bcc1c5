internal import Glibc

/// A refused system call: its errno and name, and what it was about where that is no secret.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
  public let code: Int32
  public let call: String
  public let subject: String?
  /// The sentence where the call has errors of its own.
  private let explanation: String?

  public init(code: Int32, call: String, subject: String? = nil, explanation: String? = nil) {
    self.explanation = explanation
    self.code = code
    self.call = call
    self.subject = subject
  }

  /// The sentence for `code` (`strerror_r`), or the call's own.
  public var reason: String { explanation ?? Syscalls.text(ofErrno: code) }

  public var description: String {
    if let subject { "\(call) \(subject): \(reason)" } else { "\(call): \(reason)" }
  }

  public var isAddressInUse: Bool { code == EADDRINUSE }
  public var isNotFound: Bool { code == ENOENT }
  public var isPermissionDenied: Bool { code == EACCES || code == EPERM }
  public var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }
  public var isOutOfSpace: Bool { code == ENOSPC || code == EDQUOT }
  public var isConnectionRefused: Bool { code == ECONNREFUSED }
}

/// What one non-blocking read or write did.
public enum IOOutcome: Equatable, Sendable {
  case count(Int)
  case wouldBlock
  /// The peer has closed its side (reads only).
  case endOfStream
  /// The errno of a failed call.
  case failed(Int32)
}
