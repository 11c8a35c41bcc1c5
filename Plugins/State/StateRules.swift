import ChannelKit

/// What a rule says about a state's bounds, and about who writes on an older version.
///
/// Held when a change is decided. What follows from the history is the same under every rule, so that a
/// rule may be changed and a kept state stays good; `StateDocuments.most` bounds that.
struct StateRules {
  let keysMax: Int
  /// Of one value, names of members included.
  let valueBytesMax: Int
  /// Of all values.
  let bytesMax: Int
  /// A patch on an older version passes where it touches nothing that has changed since.
  let merges: Bool

  init(_ options: inout ChannelOptions) throws(ChannelOptionsError) {
    keysMax = try options.int("maxKeys", in: 1...10_000) ?? 1_000
    valueBytesMax = try options.int("maxValueBytes", in: 16...65_536) ?? 16_384
    bytesMax = try options.int("maxBytes", in: 64...(4 << 20)) ?? 1 << 20
    merges = try options.choice("conflict", of: ["refuse", "merge"]) == "merge"
  }
}
