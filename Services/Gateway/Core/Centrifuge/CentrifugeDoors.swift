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
    accept: (String?) -> SocketCompression?
  ) -> Bool {
    let gateway = connection.gateway
    let identity: Identity?
    do throws(Refusal) {
      identity = try gateway.settings.authenticator.identity(head)
    } catch {
      exchange.closes = true
      exchange.respond(.refusedToken(error))
      return false
    }
    let subprotocol = subprotocol(head.headers.all("sec-websocket-protocol"))
    let encoding = encoding(head.target, subprotocol)
    let compression = accept(subprotocol)
    let door = ClientSession.Door(
      style: .manyChannels, encoding: Encoding(encoding), welcomes: false)
    let session = ClientSession(
      gateway, door, session: nil, client: connection.client, identity: identity)
    let socket = CentrifugeSocket(connection, session, encoding, compression)
    connection.become(socket)
    socket.start()
    return true
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
