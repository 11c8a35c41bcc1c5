import ChannelKit

/// What a board may hold.
struct BoardLimits {
  /// What no option exceeds, and beyond what nothing is applied.
  static let most = BoardLimits(itemsMax: 10_000, itemBytesMax: 65_536, bytesMax: 16 << 20)

  let itemsMax: Int
  /// Names and values of one item's fields.
  let itemBytesMax: Int
  /// The same, of all items.
  let bytesMax: Int

  private init(itemsMax: Int, itemBytesMax: Int, bytesMax: Int) {
    self.itemsMax = itemsMax
    self.itemBytesMax = itemBytesMax
    self.bytesMax = bytesMax
  }

  init(_ options: inout ChannelOptions) throws(ChannelOptionsError) {
    itemsMax = try options.int("maxItems", in: 1...Self.most.itemsMax) ?? 1_000
    itemBytesMax = try options.int("maxItemBytes", in: 64...Self.most.itemBytesMax) ?? 4_096
    bytesMax = try options.int("maxBytes", in: 64...Self.most.bytesMax) ?? 1 << 20
  }
}

/// Who may change and remove an item.
struct BoardRights {
  private let isForAuthor: Bool
  private let others: [Principal]

  init(_ options: inout ChannelOptions) throws(ChannelOptionsError) {
    var isForAuthor = false
    var others: [Principal] = []
    for text in try options.texts("change") ?? ["author", "role:admin"] {
      if text == "author" {
        isForAuthor = true
      } else if let principal = Principal(text) {
        others.append(principal)
      } else {
        throw ChannelOptionsError(
          option: "change", "must list author, anonymous, user:*, user:NAME or role:NAME")
      }
    }
    self.isForAuthor = isForAuthor
    self.others = others
  }

  /// The API may do everything. An item that an anonymous client added has no author who could be
  /// known again, so it belongs to all who may publish.
  func allow(_ client: ClientContext, on item: BoardItem) -> Bool {
    if client.isAPI || others.include(client) { return true }
    guard isForAuthor else { return false }
    return item.isAnonymous || client.user == UserID(item.author)
  }
}
