public import Config
internal import Platform
internal import TLS

/// Where one hook's back end is, and whom to believe there; the same for all loops. Any thread.
public final class HookTarget: Sendable {
  public let url: HookURL
  public let keys: HookKeys
  let host: HookHost
  let security: TLSContext?

  /// Blocks to look up a name and to read certificates.
  ///
  /// - Parameter roots: PEM of the certificates to believe; nil: those of the system.
  /// - Errors: certificates that can't be used.
  public convenience init(
    _ url: HookURL, _ keys: HookKeys, roots: [UInt8]?
  ) throws(HookFileRefused) {
    try self.init(url, keys, HookHost(url.host), roots: roots)
  }

  init(
    _ url: HookURL, _ keys: HookKeys, _ host: HookHost, roots: [UInt8]?
  ) throws(HookFileRefused) {
    self.url = url
    self.keys = keys
    self.host = host
    do throws(TLSError) {
      security = url.isSecure ? try TLSContext(clientOf: url.host, roots: roots) : nil
    } catch { throw HookFileRefused("certificates for \(url) can't be used: \(error.reason)") }
  }
}

/// All that a service needs of the section `hooks`. Any thread.
public struct HookTargets: Sendable {
  public let keys: HookKeys
  private let targets: [HookName: HookTarget]

  /// - Parameter names: the hooks that the service asks.
  /// - Errors: files that can't be used, with the reason.
  public init(_ settings: HookSettings, _ names: [HookName]) throws(HookFileRefused) {
    keys = try HookKeys(settings.keyFile)
    var roots: [UInt8]?
    if let path = settings.caFile {
      do throws(SystemError) {
        roots = try Files.read(FilePath(path), bytesMax: 1 << 20)
      } catch { throw HookFileRefused("hooks.caFile: \(path) can't be read: \(error.reason)") }
    }
    var targets: [HookName: HookTarget] = [:]
    // Hooks of one host look it up together.
    var hosts: [String: HookHost] = [:]
    for name in names {
      guard let url = settings.urls[name] else { continue }
      let host = hosts[url.host] ?? HookHost(url.host)
      hosts[url.host] = host
      targets[name] = try HookTarget(url, keys, host, roots: roots)
    }
    self.targets = targets
  }

  public var isEmpty: Bool { targets.isEmpty }

  public subscript(name: HookName) -> HookTarget? { targets[name] }
}
