/// The negotiation of message compression (RFC 7692 §5, §7.1), as values; what compresses is
/// elsewhere.
///
/// Two directions, each with a *window*, how far back a compressor may refer, and a *context*: kept
/// from message to message, which compresses small messages well and costs memory for each
/// connection, or begun anew for each message, so that one compressed message serves everyone.
public enum PermessageDeflate {
  public static let name = "permessage-deflate"
  /// Window bits of the standard. A compressor of zlib begins at 9, see `Settings`.
  public static let windowBits = 8...15

  /// What one end does with the context of a direction behind a message.
  public enum Context: Equatable, Sendable {
    case keptBetweenMessages
    case newForEachMessage
  }

  /// What a server wants.
  public struct Settings: Equatable, Sendable {
    /// Of the messages that the server sends.
    public var serverContext: Context
    /// The largest window of the server's compressor, 9 ... 15.
    ///
    /// Never 8: zlib can't write a raw stream with such a window, and silently uses another.
    public var serverWindowBits: Int
    /// Of the messages that clients send. `.newForEachMessage` asks every client to do so.
    public var clientContext: Context
    /// The largest window that clients are asked for, 8 ... 15, if they can be asked.
    public var clientWindowBits: Int

    /// Values out of range are a programmer error: settings are checked where they are read.
    public init(
      serverContext: Context = .newForEachMessage, serverWindowBits: Int = 15,
      clientContext: Context = .newForEachMessage, clientWindowBits: Int = 15
    ) {
      precondition(9...15 ~= serverWindowBits, "the compressor's window has 9 to 15 bits")
      precondition(8...15 ~= clientWindowBits, "a window has 8 to 15 bits")
      self.serverContext = serverContext
      self.serverWindowBits = serverWindowBits
      self.clientContext = clientContext
      self.clientWindowBits = clientWindowBits
    }
  }

  /// What both ends do from the first message on.
  public struct Agreement: Equatable, Sendable {
    public var serverContext: Context
    public var clientContext: Context
    /// 9 ... 15.
    public var serverWindowBits: Int
    /// 8 ... 15.
    public var clientWindowBits: Int
    /// The element of `Sec-WebSocket-Extensions` in the server's answer.
    public var answer: WebSocketExtension
  }

  /// The server's answer to a client's extensions, or nil where none of the offers will do and the
  /// connection goes on without compression.
  ///
  /// The first acceptable offer counts: a client writes what it likes best first. An offer with a
  /// parameter that is unknown, stands twice or has a bad value is passed over (RFC 7692 §7.1).
  public static func agree(
    offers: [WebSocketExtension], settings: Settings
  ) -> Agreement? {
    for offer in offers where offer.name == name {
      guard let wishes = Wishes(offer.parameters, of: .client) else { continue }
      if let agreement = answer(wishes, settings) { return agreement }
    }
    return nil
  }

  private static func answer(_ wishes: Wishes, _ settings: Settings) -> Agreement? {
    let serverBits = min(settings.serverWindowBits, wishes.serverWindowBits ?? 15)
    guard serverBits >= 9 else { return nil }
    var parameters: [WebSocketExtension.Parameter] = []
    let serverIsNew = wishes.serverIsNew || settings.serverContext == .newForEachMessage
    if serverIsNew { parameters.append(.init("server_no_context_takeover")) }
    // RFC 7692 §7.1.1.2: the client's `client_no_context_takeover` is a hint that is worth taking.
    let clientIsNew = wishes.clientIsNew || settings.clientContext == .newForEachMessage
    if clientIsNew { parameters.append(.init("client_no_context_takeover")) }
    // Who did not name a window must read the largest, and need not know of a smaller one.
    if wishes.serverWindowBits != nil {
      parameters.append(.init("server_max_window_bits", String(serverBits)))
    }
    var clientBits = 15
    if let offered = wishes.clientWindowBits {
      clientBits = min(settings.clientWindowBits, offered)
      // RFC 7692 §7.1.2.2: without an answer the client may use the largest.
      if clientBits < 15 { parameters.append(.init("client_max_window_bits", String(clientBits))) }
    }
    return Agreement(
      serverContext: serverIsNew ? .newForEachMessage : .keptBetweenMessages,
      clientContext: clientIsNew ? .newForEachMessage : .keptBetweenMessages,
      serverWindowBits: serverBits, clientWindowBits: clientBits,
      answer: WebSocketExtension(name, parameters))
  }

  /// The one offer of a client of ours: it takes any window and keeps any context.
  public static let offer = WebSocketExtension(name, [.init("client_max_window_bits")])

  /// What a server's answer to `offer` means, or nil where the handshake has failed: more than this
  /// one extension, or parameters that a server may not send (RFC 7692 §7.1).
  ///
  /// A window of 8 for the client's own messages is refused as well, see `Settings`.
  public static func accept(answer: [WebSocketExtension]) -> Agreement? {
    guard answer.count == 1, let only = answer.first, only.name == name,
      let wishes = Wishes(only.parameters, of: .server)
    else { return nil }
    let clientBits = wishes.clientWindowBits ?? 15
    guard clientBits >= 9 else { return nil }
    return Agreement(
      serverContext: wishes.serverIsNew ? .newForEachMessage : .keptBetweenMessages,
      clientContext: wishes.clientIsNew ? .newForEachMessage : .keptBetweenMessages,
      serverWindowBits: wishes.serverWindowBits ?? 15, clientWindowBits: clientBits, answer: only)
  }
}

/// The parameters of one offer or answer, each valid and at most once.
private struct Wishes {
  private(set) var serverIsNew = false
  private(set) var clientIsNew = false
  private(set) var serverWindowBits: Int?
  /// 15 where a client names the parameter without a value.
  private(set) var clientWindowBits: Int?

  /// Nil where one of them is unknown, stands twice, or has a value it may not have.
  init?(_ parameters: [WebSocketExtension.Parameter], of sender: WebSocketRole) {
    var names: Set<String> = []
    for parameter in parameters {
      guard names.insert(parameter.name).inserted else { return nil }
      switch (parameter.name, parameter.value) {
      case ("server_no_context_takeover", nil): serverIsNew = true
      case ("client_no_context_takeover", nil): clientIsNew = true
      case ("server_max_window_bits", let value?):
        guard let bits = Self.bits(value) else { return nil }
        serverWindowBits = bits
      case ("client_max_window_bits", let value?):
        guard let bits = Self.bits(value) else { return nil }
        clientWindowBits = bits
      case ("client_max_window_bits", nil) where sender == .client: clientWindowBits = 15
      default: return nil
      }
    }
  }

  /// RFC 7692 §7.1.2: decimal, 8 to 15, no leading zero.
  private static func bits(_ text: String) -> Int? {
    guard !text.hasPrefix("0"), !text.hasPrefix("+"), let bits = Int(text),
      PermessageDeflate.windowBits.contains(bits)
    else { return nil }
    return bits
  }
}
