internal import Bytes
internal import Centrifuge
internal import HTTPCodec
internal import Identity
internal import WebSocketCodec

/// Turns a request for one of the doors of the Centrifuge protocol into a session that speaks it.
enum CentrifugeDoors {
  /// Whether the connection is a socket now; if not, the exchange has been answered.
  ///
  /// - Parameter accept: completes the handshake with a subprotocol.
  static func openSocket(
    _ head: HTTPRequestHead, _ exchange: HTTPExchange, _ connection: Connection,
    isUnidirectional: Bool, accept: (String?) -> SocketCompression?
  ) -> Bool {
    let gateway = connection.gateway
    let identity: Identity?
    do throws(Refusal) {
      identity = try gateway.settings.authenticator.identity(head)
    } catch {
      exchange.closes = true
      exchange.respond(.error(error))
      return false
    }
    let subprotocol = isUnidirectional ? nil : subprotocol(head.headers.all("sec-websocket-protocol"))
    let form = CentrifugeForm(
      encoding: isUnidirectional ? .json : encoding(head.target, subprotocol), framing: .frame,
      isUnidirectional: isUnidirectional)
    let compression = accept(subprotocol)
    let session = session(form, connection, identity, head)
    let socket = CentrifugeSocket(connection, session, form, compression)
    connection.become(socket)
    socket.start(isUnidirectional ? head.target.query("cf_connect").map { [UInt8]($0.utf8) } : nil)
    return true
  }

  private static func session(
    _ form: CentrifugeForm, _ connection: Connection, _ identity: Identity?,
    _ head: HTTPRequestHead
  ) -> ClientSession {
    let door = ClientSession.Door(style: .manyChannels, encoding: Encoding(form), welcomes: false)
    let session = ClientSession(
      connection.gateway, door, session: nil, client: connection.client, identity: identity)
    session.noteForHooks(head.headers)
    return session
  }

  // MARK: answers without end

  /// Begins an answer without end, and carries out the commands that came with the request: its body,
  /// or `cf_connect` in the address. It is the first in line on its connection.
  static func openStream(
    _ form: CentrifugeForm, _ exchange: HTTPExchange, _ head: HTTPRequestHead, _ body: [UInt8]
  ) {
    guard let connection = exchange.connection else { return }
    do throws(Refusal) {
      let commands = head.method == .post ? body : [UInt8]((head.target.query("cf_connect") ?? "").utf8)
      guard !commands.isEmpty else {
        throw .badRequest("say connect: in the body of a POST, or as cf_connect in the address")
      }
      let identity = try connection.gateway.settings.authenticator.identity(head)
      guard connection.belongs(to: exchange.client) else { throw .tooManyOfAddress }
      var form = form
      let isBytes = head.headers.first("content-type")?.hasPrefix("application/octet-stream") ?? false
      if form.framing == .line, !form.isUnidirectional,
        isBytes || encoding(head.target, nil) == .protobuf
      {
        form.encoding = .protobuf
      }
      let stream = CentrifugeStream(connection, session(form, connection, identity, head), form)
      guard exchange.handOver(to: stream, answer(form)) else { return exchange.abort() }
      stream.start(commands)
    } catch { exchange.respond(.error(error)) }
  }

  /// The head of such an answer, for `HEAD` too.
  static func answer(_ form: CentrifugeForm) -> Response {
    let type =
      switch (form.framing, form.encoding) {
      case (.event, _): EventStream.contentType
      case (_, .json): JSONLines.contentType
      case (_, .protobuf): "application/octet-stream"
      }
    var answer = Response(.ok, type, [])
    answer.fields = [("Content-Type", type), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
    answer.isEndless = true
    return answer
  }

  /// The first subprotocol of ours that a client offers (RFC 6455 §4.2.2).
  static func subprotocol(_ values: [String]) -> String? {
    for value in values {
      for part in value.split(separator: ",") {
        let name = part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
        if name == CentrifugeEncoding.protobufSubprotocol || name == "centrifuge-json" {
          return String(name)
        }
      }
    }
    return nil
  }

  /// By the subprotocol, or by what the address says.
  static func encoding(_ target: HTTPTarget, _ subprotocol: String?) -> CentrifugeEncoding {
    let named = [target.query("format"), target.query("cf_protocol")]
    let isProtobuf =
      subprotocol == CentrifugeEncoding.protobufSubprotocol || named.contains("protobuf")
    return isProtobuf ? .protobuf : .json
  }
}
