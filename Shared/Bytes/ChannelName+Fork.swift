extension ChannelName {
  /// What is before the first `@`, and whether there is one that makes it a fork's name. An `@` in front
  /// makes a name that the platform keeps for itself.
  public var root: (text: Substring, isFork: Bool) {
    guard let at = text.utf8.firstIndex(of: UInt8(ascii: "@")), at > text.startIndex else {
      return (text[...], false)
    }
    return (text[..<at], true)
  }

  /// Whether a fork of `source` may have this name: `ROOT@LABEL`, where `ROOT` is the source's name up to
  /// its own `@`.
  public func isFork(of source: ChannelName) -> Bool {
    let root = root
    return root.isFork && root.text == source.root.text
      && text.utf8.count > root.text.utf8.count + 1 && self != source
  }
}
