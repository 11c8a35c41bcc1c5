/// The latest changes of one channel, kept until every watcher has been given them.
///
/// `base` is the version before the first change kept. A watcher at an earlier version can't catch
/// up from here and gets a snapshot.
struct ChangeLog: Sendable {
  private(set) var base = PresenceVersion(0)
  private(set) var byteCount = 0
  private var changes: [PresenceChange] = []

  var count: Int { changes.count }
  var head: PresenceVersion { base.advanced(by: changes.count) }

  mutating func append(_ change: PresenceChange) {
    changes.append(change)
    byteCount += change.byteCount
  }

  /// A change that nobody has to be told. Only while none is kept.
  mutating func pass() {
    guard changes.isEmpty else { preconditionFailure("changes are told in a row") }
    base = base.advanced(by: 1)
  }

  /// Lets go of changes up to `version`.
  mutating func trim(to version: PresenceVersion) {
    guard version > base else { return }
    drop(version < head ? Int(clamping: version.value - base.value) : changes.count)
  }

  /// Lets go of the oldest half when there are more than `countMax`: what is lost costs the
  /// slowest a snapshot, and half at a time keeps the cost of shifting the rest low.
  mutating func limit(to countMax: Int) {
    guard changes.count > countMax else { return }
    drop(changes.count - countMax / 2)
  }

  mutating func removeAll() { drop(changes.count) }

  /// Changes after `version` of about `bytesMax`, at least one; nil where `version` is not covered.
  func slice(after version: PresenceVersion, bytesMax: Int) -> ArraySlice<PresenceChange>? {
    guard version >= base, version < head else { return nil }
    let start = Int(clamping: version.value - base.value)
    var end = start
    var bytes = 0
    while end < changes.count {
      bytes += changes[end].byteCount
      guard bytes <= bytesMax || end == start else { break }
      end += 1
    }
    return changes[start..<end]
  }

  private mutating func drop(_ count: Int) {
    for change in changes.prefix(count) { byteCount -= change.byteCount }
    base = base.advanced(by: count)
    if count == changes.count { changes = [] } else { changes.removeFirst(count) }
  }
}
