public import Config
internal import Platform

/// A configuration that can't be used: every problem, a line each.
public struct ConfigurationRefused: Error, Sendable, CustomStringConvertible {
  public let description: String
  public init(description: String) { self.description = description }
}

/// Reading the configuration file.
public enum SettingsFile {
  /// A configuration file larger than this is some other file.
  public static let bytesMax = 4 * 1024 * 1024

  /// The settings of `path` (the defaults without one), with what the environment overrides.
  ///
  /// - Errors: every problem, or why the file can't be read.
  public static func load(
    _ path: String?, environment: [String: String], channelTypes: [String],
    callHandlers: [String] = [], channelFault: ChannelTypeCheck? = nil
  ) throws(ConfigurationRefused) -> Configuration {
    let text: [UInt8]?
    do throws(SystemError) {
      text = try path.map { path throws(SystemError) in
        try Files.read(FilePath(path), bytesMax: bytesMax)
      }
    } catch {
      throw ConfigurationRefused(description: "the configuration can't be read: \(error)")
    }
    let check = Configuration.check(
      file: path ?? "defaults", text: text, environment: environment, channelTypes: channelTypes,
      callHandlers: callHandlers, channelFault: channelFault)
    guard check.isSound else {
      throw ConfigurationRefused(description: "the configuration is refused:\n\(check.report)")
    }
    return check.configuration
  }
}
