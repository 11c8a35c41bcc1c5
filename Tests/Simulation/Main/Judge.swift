internal import Bytes
internal import EventStoreCore
internal import StoreSimulation
internal import Wire

/// Knows what the store has to hold, and says when it holds anything else.
///
/// The lists of `StoreModel` are brought up with each commit that the store says went through. Of one that
/// it does not know the outcome of, both is allowed until it has been opened again: then it is one or the
/// other, for good.
final class Judge {
  private let world: World
  private(set) var model: StoreModel
  /// What the model is if the transaction under way went through.
  private var other: StoreModel?
  /// Of runs in which the log is damaged: what it may have come back to.
  private var past: [StoreModel] = []
  private let keepsPast: Bool
  /// Epochs of streams that are or were, by the model's number of them.
  private var epochs: [Int: Epoch] = [:]
  /// What is durable under each epoch: what anybody may be shown.
  private(set) var durable: [Epoch: [String]] = [:]
  private var floors: [Epoch: Int] = [:]
  private(set) var losses = 0
  /// How often each name was deleted.
  private(set) var deletions: [String: Int] = [:]

  init(_ world: World, keysKept: Int64, keepsPast: Bool) {
    self.world = world
    self.keepsPast = keepsPast
    model = StoreModel(keysKept: keysKept)
  }

  // MARK: commits

  /// A transaction begins that would make `next` of the model.
  func tries(_ next: StoreModel) { other = next }

  func wentThrough() {
    guard let next = other.take() else { return }
    if keepsPast { past.append(model) }
    model = next
  }

  func wasRefused() { other = nil }

  func learn(_ epoch: Epoch, of name: String) {
    guard let timeline = model.timelines[name] else { return }
    if let known = epochs[timeline.id], known != epoch {
      return world.fail("\(name) has epoch \(epoch), it had \(known)")
    }
    if epochs[timeline.id] == nil, durable[epoch] != nil {
      return world.fail("\(name) began in epoch \(epoch), which another had")
    }
    if epochs[timeline.id] == nil { world.note("learnt", text: "\(name) \(epoch)") }
    epochs[timeline.id] = epoch
    durable[epoch] = timeline.texts
  }

  func wasDeleted(_ name: String) { deletions[name, default: 0] += 1 }

  /// Whether a name's stream is in this epoch.
  func isLatest(_ epoch: Epoch, of name: String) -> Bool {
    guard let timeline = model.timelines[name] else { return false }
    return epochs[timeline.id] == epoch
  }

  // MARK: what is shown

  /// Whether whoever is at this end may see an event: one that is durable, and always the same.
  func saw(_ text: String, at position: Position, by whom: @autoclosure () -> String) {
    let index = Int(position.offset.value) - 1
    guard let texts = durable[position.epoch] else {
      return world.fail("\(whom()) saw epoch \(position.epoch), which is no stream's")
    }
    guard texts.indices.contains(index) else {
      return world.fail("\(whom()) saw \(position) before it was durable")
    }
    if texts[index] != text {
      world.fail("\(whom()) saw \(text) at \(position), which is \(texts[index])")
    }
  }

  /// A page as it leaves the store.
  func saw(_ page: EventPage, of name: String, from: Offset) {
    guard let epoch = page.epoch else { return }
    let floor = Int(page.floor.value)
    if floor < floors[epoch, default: 0] {
      world.fail("the floor of \(name) went back to \(floor)")
    }
    floors[epoch] = floor
    var next = max(from, page.floor).next
    for event in page.events {
      if event.offset != next {
        return world.fail("a page of \(name) has \(event.offset), not \(next)")
      }
      saw(
        text(of: event), at: Position(epoch: epoch, offset: event.offset), by: "a reader of \(name)"
      )
      next = event.offset.next
    }
  }

  private func text(of event: StoredEvent) -> String {
    String(decoding: event.payload.bytes, as: UTF8.self)
  }

  // MARK: a store that was opened

  /// A store without accepted loss: it holds what was acknowledged, and of what is unknown all or nothing.
  func opened(_ reader: StoreReader, by whom: String) {
    let flaw = flaw(of: reader, model)
    guard flaw != nil else { return settled(reader, isOther: false) }
    guard let next = other else { return world.fail("\(whom): \(flaw ?? "")") }
    if let worse = self.flaw(of: reader, next) {
      return world.fail("\(whom): \(flaw ?? ""); and with what was unknown: \(worse)")
    }
    settled(reader, isOther: true)
  }

  private func settled(_ reader: StoreReader, isOther: Bool) {
    if isOther { wentThrough() } else { wasRefused() }
    world.note("resolved", isOther ? 1 : 0)
    learnAll(reader)
  }

  private func learnAll(_ reader: StoreReader) {
    for name in model.timelines.keys.sorted() {
      guard let head = head(of: name, reader), let epoch = head.epoch else { continue }
      learn(epoch, of: name)
    }
  }

  /// Whether no stream is in an epoch that was shown before.
  func hasNewEpochs(_ reader: StoreReader) -> Bool {
    let heads = (try? reader.streams(limit: 1_000)) ?? []
    return heads.allSatisfy { head in head.epoch.map { durable[$0] == nil } ?? true }
  }

  /// A store that began anew with what was left: some earlier state as a whole, and no epoch that ever was.
  /// False where it is no whole state: damage in the middle of the log does that.
  func openedAfterLoss(_ reader: StoreReader) -> Bool {
    let states = [other, model].compactMap { $0 } + past.reversed()
    guard let state = states.first(where: { flaw(of: reader, $0) == nil }) else { return false }
    losses += 1
    other = nil
    model = state
    past = []
    epochs = [:]
    floors = [:]
    for name in model.timelines.keys.sorted() {
      guard let epoch = head(of: name, reader)?.epoch else { continue }
      if durable[epoch] != nil {
        world.fail("\(name) kept epoch \(epoch) when a loss was accepted")
      }
    }
    learnAll(reader)
    return true
  }

  private func head(of name: String, _ reader: StoreReader) -> StreamHead? {
    guard let name = ChannelName(name) else { return nil }
    return try? reader.head(of: name)
  }

  /// What of a store is not as `model` has it; nil where all is.
  private func flaw(of reader: StoreReader, _ model: StoreModel) -> String? {
    do {
      let names = try reader.streams(limit: 1_000).map(\.name.text)
      let expected = model.timelines.keys.sorted()
      guard names == expected else { return "streams \(names), not \(expected)" }
      for name in names {
        guard let channel = ChannelName(name), let timeline = model.timelines[name] else {
          continue
        }
        let head = try reader.head(of: channel)
        guard Int(head.head.value) == timeline.head, Int(head.floor.value) == timeline.floor else {
          return "\(name) \(head.floor)…\(head.head), not \(timeline.floor)…\(timeline.head)"
        }
        var next = head.floor
        while next < head.head {
          let page = try reader.read(channel, from: next)
          guard let last = page.events.last else { return "\(name) has nothing after \(next)" }
          for event in page.events {
            next = next.next
            guard event.offset == next, text(of: event) == timeline.texts[Int(next.value) - 1]
            else {
              return "\(name) \(next) is \(text(of: event))"
            }
          }
          next = last.offset
        }
      }
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// What was announced, in order, agrees with the model's order of commits.
  func compareOrder(_ reader: StoreReader) {
    var announced: [(name: String, offset: Int, text: String)] = []
    var position: Int64 = 0
    while let page = try? reader.unannounced(after: position), page.through > position {
      announced += page.announcements.map {
        ($0.stream.text, Int($0.event.offset.value), text(of: $0.event))
      }
      position = page.through
    }
    if losses == 0, let flaw = model.flaw(of: announced) { world.fail("order of commits: \(flaw)") }
  }
}
