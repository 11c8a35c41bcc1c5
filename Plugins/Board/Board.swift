public import ChannelKit

/// Shared items that everyone sees and that last: annotations, bookmarks, notes (S001-05).
///
/// A fold over a durable channel of add, change and remove. Every decision expects the channel
/// unchanged, so that two clients can't both change what only one of them saw, and so that the
/// offset a publication will have is known: it is the item's version, and a new item's id.
public struct BoardChannel: ChannelType {
  public static let name = "board"
  public static let state = StateUse.folded
  public static let history = HistoryRequirement.durable

  private let limits: BoardLimits
  private let rights: BoardRights
  private var items = BoardItems()

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    limits = try BoardLimits(&options)
    rights = try BoardRights(&options)
  }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    var message = try BoardMessage(reading: event.payload)
    switch message.op {
    case .add: try decideAdd(&message, client)
    case .change: try decideChange(&message, client)
    case .remove: try decideRemove(&message, client)
    }
    effects.publish(message.payload, expecting: .unchanged)
    effects.reply(message.acknowledgement)
  }

  /// Passes over what makes no sense, such as what was in the stream before it was a board's.
  public mutating func apply(_ publication: Publication) {
    items.apply(publication)
  }

  public mutating func begins(after floor: Offset) { items.begins(after: floor) }

  public func snapshot() -> [Payload] { items.pages() }

  public func checkpoint() -> [UInt8]? { items.checkpoint() }

  public mutating func restore(_ checkpoint: [UInt8]) throws(ChannelError) {
    do throws(ByteError) {
      items = try BoardItems(checkpoint: checkpoint)
    } catch {
      throw .invalidPayload("this is no board's checkpoint")
    }
  }

  private func decideAdd(_ message: inout BoardMessage, _ client: ClientContext)
    throws(ChannelError)
  {
    guard items.count < limits.itemsMax else {
      throw .limitReached("the board is full: it holds \(limits.itemsMax) items")
    }
    try message.checkText(isNeeded: true)
    message.version = items.nextVersion
    message.id = try newID(message.id)
    try message.setAuthor(client)
    message.fields.removeAll { $0.isNull }
    try check(bytes: message.fieldBytes, insteadOf: 0)
  }

  private func decideChange(_ message: inout BoardMessage, _ client: ClientContext)
    throws(ChannelError)
  {
    let item = try item(for: message, client)
    try message.checkText(isNeeded: false)
    guard !message.fields.isEmpty else { throw .invalidPayload("nothing is to be changed") }
    let changed = item.changed(by: message.fields)
    guard changed.fields.count <= BoardMessage.fieldsMax else {
      throw .limitReached("an item has at most \(BoardMessage.fieldsMax) fields")
    }
    try check(bytes: changed.fieldBytes, insteadOf: item.fieldBytes)
    message.version = items.nextVersion
    message.setActor(client)
  }

  private func decideRemove(_ message: inout BoardMessage, _ client: ClientContext)
    throws(ChannelError)
  {
    _ = try item(for: message, client)
    message.fields = []
    message.version = items.nextVersion
    message.setActor(client)
  }

  /// The item that a message is about, once it is known that the client may touch it.
  private func item(for message: BoardMessage, _ client: ClientContext)
    throws(ChannelError) -> BoardItem
  {
    guard let id = message.id else { throw .invalidPayload("id is missing") }
    guard let item = items[id] else { throw .notFound("there is no such item") }
    guard rights.allow(client, on: item) else {
      throw .notPermitted("this item is for others to change")
    }
    guard message.version == nil || message.version == item.version else {
      throw .conflict("the item has changed: it is at version \(item.version)")
    }
    return item
  }

  /// Ids of digits alone are the board's own, so that they can't be taken beforehand.
  private func newID(_ wanted: String?) throws(ChannelError) -> String {
    guard let wanted else { return String(items.nextVersion) }
    guard !wanted.utf8.allSatisfy({ (48...57).contains($0) }) else {
      throw .invalidPayload("an id of digits alone is given by the board")
    }
    guard items[wanted] == nil else { throw .alreadyExists("there is an item of this id") }
    return wanted
  }

  private func check(bytes: Int, insteadOf old: Int) throws(ChannelError) {
    guard bytes <= limits.itemBytesMax else {
      throw .limitReached("an item has at most \(limits.itemBytesMax) bytes")
    }
    guard items.bytes - old + bytes <= limits.bytesMax else {
      throw .limitReached("the board is full: it holds \(limits.bytesMax) bytes")
    }
  }
}
