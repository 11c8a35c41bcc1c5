import ChannelKit
import JSON

/// One key's latest value.
struct StateDocument: Equatable {
  let key: String
  var value: StateValue
  /// The offset of its last change.
  var version: UInt64
  /// The offset at which it was set as a whole, or came to be.
  var wholeVersion: UInt64
  /// The offset at which a patch last took a member away; 0 for never.
  var removalVersion: UInt64 = 0
  /// Of its last change, in milliseconds since 1970.
  var timeMs: Int64
  /// Who made it; empty for who was not known.
  var by: String

  /// Whether a patch that was made for `version` touches no member that has changed since. A member
  /// that is not there counts as changed when any was last taken away.
  func isUntouched(by patch: [StateMember], since version: UInt64) -> Bool {
    guard version >= wholeVersion, version < self.version, case .object(let members) = value else {
      return false
    }
    return patch.allSatisfy { change in
      let member = members.first { haveSameBytes($0.name, change.name) }
      return member?.version ?? removalVersion <= version
    }
  }

  /// What it takes in a page or a checkpoint, roughly.
  var weight: Int { value.bytes + key.utf8.count + by.utf8.count + 128 }
}

/// All documents, as the publications so far make them.
struct StateDocuments {
  /// BUDGET: beyond what no rule lets through, so that it is only met where many write near a bound at
  /// once; what would exceed it is passed over, on every loop alike.
  static let most = (keys: 16_384, valueBytes: 160 << 10, bytes: 6 << 20)

  private var documents: [String: StateDocument] = [:]
  /// The offset of the last publication.
  private var head: UInt64 = 0
  /// Of all values.
  private(set) var bytes = 0

  init() {}

  var count: Int { documents.count }
  /// The offset of the next publication, if no other comes first.
  var nextVersion: UInt64 { head &+ 1 }
  subscript(key: String) -> StateDocument? { documents[key] }
  var inOrder: [StateDocument] { documents.values.sorted { $0.key < $1.key } }

  /// What came before is no longer kept.
  mutating func begins(after floor: Offset) { head = floor.value }

  /// One that a checkpoint has; no two have the same key.
  mutating func add(_ document: StateDocument) throws(ByteError) {
    guard documents.updateValue(document, forKey: document.key) == nil else { throw .invalidValue }
    bytes += document.value.bytes
  }

  mutating func apply(_ publication: Publication) {
    guard let offset = publication.offset else { return }
    head = offset.value
    guard let message = try? StateMessage(reading: publication.payload) else { return }
    switch message.change {
    case .set(let key, let value):
      replace(
        key, with: StateValue(whole: value, at: head), publication, message.by, isWhole: true)
    case .patch(let key, let patch):
      let (value, removed) = (documents[key]?.value ?? .empty).patched(by: patch, at: head)
      let wasObject = documents[key].map { if case .object = $0.value { true } else { false } }
      replace(key, with: value, publication, message.by, isWhole: wasObject != true)
      if removed, documents[key]?.version == head { documents[key]?.removalVersion = head }
    case .remove(let key):
      guard let old = documents.removeValue(forKey: key) else { return }
      bytes -= old.value.bytes
    case .clear:
      documents.removeAll()
      bytes = 0
    }
  }

  private mutating func replace(
    _ key: String, with value: StateValue, _ publication: Publication, _ by: String?, isWhole: Bool
  ) {
    let old = documents[key]
    let change = value.bytes - (old?.value.bytes ?? 0)
    guard old != nil || count < Self.most.keys, value.membersCount <= StateValue.membersMax * 2,
      value.bytes <= Self.most.valueBytes, bytes + change <= Self.most.bytes
    else { return }
    var document = StateDocument(
      key: key, value: value, version: head, wholeVersion: head, timeMs: publication.timeMs,
      by: by ?? "")
    if !isWhole, let old {
      document.wholeVersion = old.wholeVersion
      document.removalVersion = old.removalVersion
    }
    documents[key] = document
    bytes += change
  }
}
