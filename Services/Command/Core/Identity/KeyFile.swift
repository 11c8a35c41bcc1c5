internal import Config
internal import Platform

/// A key file's lines, to be shown and changed.
///
/// The gateway reads the file as its own user, perhaps through a symbolic link: a changed file is
/// still the one at the end of the link, with its owner, group and mode. What changes it takes a lock
/// on its directory, so that of two commands at once neither loses what the other has done.
struct KeyFile {
  struct Key: Equatable {
    var name: String
    var scopes: String
    var channels: [String]
    fileprivate var line: Int
  }

  /// Why a file is left as it is; nothing was changed.
  struct Refused: Error, Equatable, CustomStringConvertible {
    let description: String
  }

  /// Without links.
  private let path: FilePath
  /// Nil where there is no file yet.
  private let old: FileStatus?
  private var lines: [[UInt8]]
  private(set) var keys: [Key] = []

  /// A file that is not there has no keys.
  init(_ path: FilePath) throws {
    self.path = try Self.real(path)
    (old, lines) = try Self.read(self.path)
    let text = Array(lines.joined(separator: [0x0A]))
    for (line, entry) in try APIKeyFile(text, file: path.description).entries {
      switch entry {
      case .plain:
        keys.append(
          Key(name: "line-\(line)", scopes: APIScopes.all.names, channels: [], line: line))
      case .digest(let rule):
        keys.append(
          Key(
            name: rule.name, scopes: rule.scopes.names, channels: rule.channels.map(\.text),
            line: line))
      }
    }
  }

  /// Lets `body` change the file's keys while no other command does. Blocks for `within` at most.
  ///
  /// - Errors: the file is as it was.
  static func change(
    _ path: FilePath, within: Duration = .seconds(10),
    _ body: (inout KeyFile) throws(UsageError) -> Void
  ) throws {
    let directory = try real(path).parent
    guard let lock = try Files.lock(directory: directory, within: within) else {
      throw Refused(description: "another command is changing a key file in \(directory); try again")
    }
    defer { withExtendedLifetime(lock) {} }
    var file = try KeyFile(path)
    try body(&file)
    try file.save()
  }

  mutating func add(_ rule: APIKeyRule) { lines.append(Array(APIKeyFile.line(rule).utf8)) }

  /// Whether there was one of that name.
  mutating func remove(_ name: String) -> Bool {
    guard let index = keys.firstIndex(where: { $0.name == name }) else { return false }
    lines.remove(at: keys.remove(at: index).line - 1)
    return true
  }

  /// In one step. A file that was there stays whose it was; a new one is for us alone.
  func save() throws {
    let text: [UInt8] = Array(lines.map { $0 + [0x0A] }.joined())
    guard let old else {
      return try Files.replace(path, with: text, mode: 0o600, durability: .synced)
    }
    guard old.linkCount == 1 else {
      throw Refused(
        description: "\(path) has \(old.linkCount) names (hard links), and behind the others the old "
          + "keys would stay in force; nothing was changed")
    }
    do throws(SystemError) {
      try Files.replace(path, with: text, keeping: old)
    } catch {
      guard error.call == "fchown" else { throw error }
      throw Refused(
        description: "\(path) belongs to user \(old.user) and group \(old.group), and you may not "
          + "leave it so; do this as that user or as root. Nothing was changed")
    }
  }

  // MARK: -

  /// The path of the file itself, which need not be there.
  private static func real(_ path: FilePath) throws -> FilePath {
    do throws(SystemError) {
      return try Files.realPath(path)
    } catch {
      guard error.isNotFound else { throw error }
    }
    guard (try? Files.linkStatus(path)) == nil else {
      throw Refused(description: "\(path) is a link to a file that is not there")
    }
    return try Files.realPath(path.parent).appending(path.lastComponent)
  }

  private static func read(_ path: FilePath) throws -> (FileStatus?, [[UInt8]]) {
    let status: FileStatus
    do throws(SystemError) {
      status = try Files.status(path)
    } catch {
      guard error.isNotFound else { throw error }
      return (nil, [])
    }
    guard status.kind == .file else { throw Refused(description: "\(path) is no file") }
    let text = try Files.read(path, bytesMax: APIKeyFile.bytesMax)
    var lines = text.split(omittingEmptySubsequences: false) { $0 == 0x0A }.map(Array.init)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return (status, lines)
  }
}
