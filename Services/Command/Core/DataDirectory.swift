internal import Platform

/// Where a Sapphire of this machine keeps its state, and what stands where in it.
///
///     DIR/                0700
///       api.key           0600, the key of the HTTP API
///       api.key.at        the path of that file, where the configuration names another
///       tls/              0700, what `up --tls` has made: certificate.pem and key.pem, both 0600
///       eventstore/       durable streams
///       vault-watch/      what `sapphire vault watch` has announced
///       run/              0700, only while it runs
///         up.lock         held by the one `sapphire up`
///         <service>.pid   decimal, replaced by rename at every restart
///         <service>.sock  for the service's own links
///         url             where the gateway listens
struct DataDirectory: Equatable {
  let path: String

  var run: FilePath { FilePath("\(path)/run") }
  var key: FilePath { FilePath("\(path)/api.key") }
  var keyPlace: FilePath { FilePath("\(path)/api.key.at") }
  var url: FilePath { FilePath("\(path)/run/url") }
  var lock: FilePath { FilePath("\(path)/run/up.lock") }
  var secrets: FilePath { FilePath("\(path)/tls") }
  var certificate: FilePath { FilePath("\(path)/tls/certificate.pem") }
  var certificateKey: FilePath { FilePath("\(path)/tls/key.pem") }
  var eventStore: String { "\(path)/eventstore" }
  var vaultWatch: FilePath { FilePath("\(path)/vault-watch") }

  func pid(of service: SupervisedService) -> FilePath {
    FilePath("\(path)/run/\(service.rawValue).pid")
  }

  func socket(of service: SupervisedService) -> SocketAddress {
    .unix(path: "\(path)/run/\(service.rawValue).sock")
  }

  /// The file of API keys that the last `up` was configured with.
  var keyFile: FilePath {
    guard let bytes = try? Files.read(keyPlace, bytesMax: 4_096) else { return key }
    let line = String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
    return line.hasPrefix("/") ? FilePath(line) : key
  }

  /// The directory that `--data` or the environment names, absolute.
  ///
  /// - Parameter isRoot: root's state lies under /var/lib, other users' in their home.
  init(option: String?, environment: (String) -> String?, isRoot: Bool, workingDirectory: String)
    throws(UsageError)
  {
    let chosen = option ?? environment("SAPPHIRE_DATA").flatMap { $0.isEmpty ? nil : $0 }
    if let chosen {
      guard !chosen.isEmpty else { throw UsageError("--data needs a directory") }
      path = Self.absolute(chosen, workingDirectory)
    } else if isRoot {
      path = "/var/lib/sapphire"
    } else if let home = environment("HOME"), home.hasPrefix("/") {
      path = Self.absolute(home + "/.local/state/sapphire", workingDirectory)
    } else {
      throw UsageError("there is no HOME; say where with --data DIR or SAPPHIRE_DATA")
    }
  }

  private static func absolute(_ path: String, _ workingDirectory: String) -> String {
    var result = path.hasPrefix("/") ? path : workingDirectory + "/" + path
    while result.count > 1, result.hasSuffix("/") { result.removeLast() }
    return result
  }

  /// The sentence that refuses socket paths the kernel would not take; nil when all fit.
  var socketPathFault: String? {
    let longest =
      SupervisedService.allCases.map { "\(path)/run/\($0.rawValue).sock".utf8.count }
      .max() ?? 0
    guard longest > SocketAddress.pathBytesMax else { return nil }
    let room = SocketAddress.pathBytesMax - (longest - path.utf8.count)
    return """
      the data directory's path is too long: its sockets would need \(longest) bytes and the \
      kernel takes \(SocketAddress.pathBytesMax). Choose one of at most \(room) bytes with \
      --data DIR (a short symbolic link to the directory will do)
      """
  }
}
