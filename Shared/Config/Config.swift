/// Stand-in.
public struct Settings: Sendable { public init() {} }
