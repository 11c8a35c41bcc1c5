import Bytes
import PresenceCore

/// What a gateway does with what it is sent: it replays pages and changes, and shows its clients who
/// came and went. Notes every breach of the order that it was promised.
struct Observer {
  enum Shown: Equatable {
    case joined(MemberKey)
    case left(MemberKey)
  }

  struct View {
    /// What clients have been shown.
    var shown: [MemberKey: PresenceEntry] = [:]
    /// The snapshot so far, while one arrives.
    var fresh: [MemberKey: PresenceEntry]?
    var version: PresenceVersion?
    var isComplete = false
    var events: [Shown] = []
    var snapshots = 0
    var changes = 0
  }

  private(set) var views: [ChannelName: View] = [:]
  private(set) var breaches: [String] = []

  func view(_ channel: ChannelName) -> View { views[channel] ?? View() }
  func keys(_ channel: ChannelName) -> Set<MemberKey> { Set(view(channel).shown.keys) }

  /// The link is gone: the view stays on show, and a new snapshot will come.
  mutating func linkLost() {
    for channel in views.keys {
      views[channel]?.fresh = nil
      views[channel]?.version = nil
    }
  }

  mutating func forget(_ channel: ChannelName) { views[channel] = nil }

  mutating func forgetEvents() {
    for channel in views.keys { views[channel]?.events = [] }
  }

  mutating func received(_ page: PresencePage) {
    // Taken out, so that its tables are changed in place.
    var view = views.removeValue(forKey: page.channel) ?? View()
    defer { views[page.channel] = view }
    if page.isFirst {
      view.fresh = [:]
      view.version = page.version
      view.snapshots += 1
    }
    guard view.fresh != nil else { return breaches.append("a page without a first page") }
    if page.version != view.version { breaches.append("a page of another version") }
    for entry in page.entries {
      view.fresh?[entry.key] = entry
      Self.show(entry, in: &view)
    }
    guard page.isLast, let fresh = view.fresh else { return }
    view.fresh = nil
    view.isComplete = page.completeness == .complete
    guard view.isComplete else { return }
    for key in view.shown.keys where fresh[key] == nil {
      view.shown[key] = nil
      view.events.append(.left(key))
    }
  }

  mutating func received(_ batch: PresenceChanges) {
    var view = views.removeValue(forKey: batch.channel) ?? View()
    defer { views[batch.channel] = view }
    if batch.changes.isEmpty { breaches.append("no changes") }
    guard batch.after == view.version else {
      return breaches.append("changes after \(batch.after) to a view of another version")
    }
    view.version = PresenceVersion(batch.after.value + UInt64(batch.changes.count))
    view.changes += batch.changes.count
    for change in batch.changes {
      switch change {
      case .joined(let entry), .updated(let entry):
        if view.fresh != nil { view.fresh?[entry.key] = entry }
        Self.show(entry, in: &view)
      case .left(let key):
        view.fresh?[key] = nil
        if view.shown.removeValue(forKey: key) != nil { view.events.append(.left(key)) }
      }
    }
  }

  private static func show(_ entry: PresenceEntry, in view: inout View) {
    if view.shown.updateValue(entry, forKey: entry.key) == nil {
      view.events.append(.joined(entry.key))
    }
  }
}
