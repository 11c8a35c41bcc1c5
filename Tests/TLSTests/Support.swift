import TLS

/// What one end gave, all of it.
struct Received {
  var plaintext: [UInt8] = []
  var error: TLSError?
}

/// Two ends and the bytes between them.
final class Pair {
  let client: TLSConnection
  let server: TLSConnection
  /// How many bytes each step carries over.
  let step: Int
  var toServer: [UInt8] = []
  var toClient: [UInt8] = []
  var atServer = Received()
  var atClient = Received()

  init(client: TLSContext, server: TLSContext, step: Int = .max) {
    self.client = TLSConnection(client)
    self.server = TLSConnection(server)
    self.step = step
    do throws(TLSError) { try self.client.start(into: &toServer) } catch { atClient.error = error }
  }

  /// Carries bytes both ways until none are left.
  func run() {
    while !toServer.isEmpty || !toClient.isEmpty {
      let forServer = Array(toServer.prefix(step))
      toServer.removeFirst(forServer.count)
      Self.feed(server, forServer, &atServer, &toClient)
      let forClient = Array(toClient.prefix(step))
      toClient.removeFirst(forClient.count)
      Self.feed(client, forClient, &atClient, &toServer)
    }
  }

  static func feed(
    _ end: TLSConnection, _ bytes: [UInt8], _ received: inout Received, _ output: inout [UInt8]
  ) {
    guard !bytes.isEmpty, received.error == nil else { return }
    do throws(TLSError) {
      try end.receive(bytes.span, plaintext: &received.plaintext, output: &output)
    } catch { received.error = error }
  }

  func sendToServer(_ bytes: [UInt8]) throws(TLSError) {
    try client.send(bytes.span, output: &toServer)
  }

  func sendToClient(_ bytes: [UInt8]) throws(TLSError) {
    try server.send(bytes.span, output: &toClient)
  }
}

/// A certificate for `localhost` and both ends that go with it.
struct Ends {
  let certificate: TLSCertificate
  let server: TLSContext
  let client: TLSContext

  init(newest: TLSContext.Version = .tls13, names: [String] = ["localhost", "127.0.0.1"]) throws {
    certificate = try .selfSigned(names: names)
    server = try TLSContext(server: certificate, newest: newest)
    client = try TLSContext(clientOf: "localhost", roots: certificate.chain)
  }
}

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// What `end` says to `bytes` and writes for its peer.
func feed(_ end: TLSConnection, _ bytes: [UInt8]) -> (error: TLSError?, output: [UInt8]) {
  var plaintext: [UInt8] = []
  var output: [UInt8] = []
  do throws(TLSError) {
    try end.receive(bytes.span, plaintext: &plaintext, output: &output)
    return (nil, output)
  } catch { return (error, output) }
}
