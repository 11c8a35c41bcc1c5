internal import Bytes
internal import Crypto
internal import Observe
internal import Platform
internal import Synchronization

/// The secrets that requests to back ends are signed with, from a file that may change. Any thread.
///
///     Sapphire-Signature: t=1795299188,v1=6f1c…
///
/// `v1` is HMAC-SHA256 (RFC 2104) in hexadecimal digits over the digits of `t`, a full stop and the
/// body. There is one `v1` for each key of the file, so that keys can be changed one end at a time.
public final class HookKeys: Sendable {
  public static let field = "Sapphire-Signature"
  /// BUDGET: fewer characters can be guessed; more keys are no rotation.
  public static let keyBytesMin = 16
  public static let keyBytesMax = 512
  public static let keysMax = 4

  private let path: FilePath?
  private let keys: Mutex<Secret<[[UInt8]]>>
  /// What tells whether the file has changed.
  private let mark: Mutex<FileStatus?>

  /// - Parameter path: nil for requests that are not signed.
  /// - Errors: what is wrong with the file, nothing of what it holds.
  public init(_ path: String?) throws(HookFileRefused) {
    self.path = path.map { FilePath($0) }
    mark = Mutex(self.path.flatMap { try? Files.status($0) })
    keys = Mutex(Secret(try Self.read(self.path)))
  }

  /// Reads the file again if it has changed. Says what is wrong with it once.
  public func lookAgain() throws(HookFileRefused) {
    guard let path else { return }
    let now = try? Files.status(path)
    let hasChanged = mark.withLock { mark in
      defer { mark = now }
      return mark != now
    }
    if hasChanged { try reload() }
  }

  /// Reads the file again. What can't be read leaves the keys as they were.
  public func reload() throws(HookFileRefused) {
    let read = try Self.read(path)
    keys.withLock { $0 = Secret(read) }
  }

  private static func read(_ path: FilePath?) throws(HookFileRefused) -> [[UInt8]] {
    guard let path else { return [] }
    let text: [UInt8]
    let mode: UInt32
    do throws(SystemError) {
      mode = try Files.status(path).mode
      text = try Files.read(path, bytesMax: 64 * 1024)
    } catch { throw HookFileRefused("\(path) can't be read: \(error.reason)") }
    // Whoever can read the key can speak for this server.
    guard mode & 0o007 == 0 else {
      throw HookFileRefused("\(path) is open to every user of this machine: chmod o= \(path)")
    }
    return try parse(text, path)
  }

  /// One key a line; empty lines and those that begin with `#` are passed over.
  static func parse(_ text: [UInt8], _ path: FilePath) throws(HookFileRefused) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    for line in text.split(separator: 0x0A) {
      let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0D }
      var key = line.drop(while: isBlank)
      while let last = key.last, isBlank(last) { key.removeLast() }
      guard let first = key.first, first != UInt8(ascii: "#") else { continue }
      guard (keyBytesMin...keyBytesMax).contains(key.count) else {
        throw HookFileRefused("\(path): a key has \(keyBytesMin) to \(keyBytesMax) characters")
      }
      keys.append(Array(key))
    }
    guard (1...keysMax).contains(keys.count) else {
      throw HookFileRefused("\(path): write one key a line, at most \(keysMax)")
    }
    return keys
  }

  /// The value of the field for one body; nil where nothing is signed.
  ///
  /// - Parameter seconds: of Unix time.
  public func signature(of body: [UInt8], at seconds: Int64) -> String? {
    let keys = keys.withLock { $0 }.reveal()
    guard !keys.isEmpty else { return nil }
    let message = [UInt8]("\(seconds).".utf8) + body
    var text = "t=\(seconds)"
    for key in keys { text += ",v1=\(hex(HMACSHA256.authenticate(key: key, message: message)))" }
    return text
  }
}

/// Why a file of the section `hooks` can't be used, in a sentence.
public struct HookFileRefused: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
