public import Config
internal import Platform

/// A configuration that can't be used: every problem, a line each.
public struct ConfigurationRefused: Error, Sendable, CustomStringConvertible {
  public let description: String
}

/// Reading the configuration file.
public enum SettingsFile {
  /// The settings of `path`, or the defaults without one.
  public static func load(_ path: String?) throws -> Settings {
    Settings()
  }
}
