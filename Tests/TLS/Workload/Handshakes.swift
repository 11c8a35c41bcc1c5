import TLS
import TestKit

/// `count` connections in memory, most of which end badly: reset at any point of the handshake,
/// damaged, left open or ended well. A new certificate every hundred. The exit code.
func handshakes(count: Int, seed: UInt64) throws -> Int32 {
  var random = SeededGenerator(seed: seed)
  var ends = try makeEnds()
  var opened = 0
  var failed = 0
  for index in 0..<count {
    if index % 100 == 99 { ends = try makeEnds() }
    let server = TLSConnection(ends.server)
    let client = TLSConnection(ends.client)
    var toServer: [UInt8] = []
    var toClient: [UInt8] = []
    try client.start(into: &toServer)
    // Every fifth is let through to its end.
    let resetAfter = index % 5 == 0 ? Int.max : Int.random(in: 0...6, using: &random)
    var steps = 0
    while !toServer.isEmpty || !toClient.isEmpty, steps < resetAfter {
      steps += 1
      if index % 7 == 3, steps == 4, !toClient.isEmpty {
        toClient[Int.random(in: 0..<toClient.count, using: &random)] ^= 0x10
      }
      carry(&toServer, to: server, answer: &toClient, &random)
      carry(&toClient, to: client, answer: &toServer, &random)
    }
    if server.state == .failed || client.state == .failed { failed += 1 }
    if server.state == .open, client.state == .open {
      opened += 1
      try server.send([UInt8](repeating: 1, count: 20_000).span, output: &toClient)
      if index % 3 == 0 { try client.updateKeys(into: &toServer) }
      if index % 2 == 0 { client.close(into: &toServer) }
      carry(&toServer, to: server, answer: &toClient, &random)
      carry(&toClient, to: client, answer: &toServer, &random)
    }
  }
  print("\(count) connections: \(opened) opened, \(failed) failed, the others were reset; seed \(seed)")
  let isSound = opened >= count / 10 && failed > 0
  print(isSound ? "1 passed, 0 failed" : "0 passed, 1 failed")
  return isSound ? 0 : 1
}

private func makeEnds() throws -> (server: TLSContext, client: TLSContext) {
  let certificate = try TLSCertificate.selfSigned(names: ["localhost"])
  return (
    try TLSContext(server: certificate, resumption: .tickets),
    try TLSContext(clientOf: "localhost", roots: certificate.chain)
  )
}

/// Some of the bytes; an end that fails is told no more.
private func carry(
  _ bytes: inout [UInt8], to end: TLSConnection, answer: inout [UInt8],
  _ random: inout SeededGenerator
) {
  guard !bytes.isEmpty else { return }
  let piece = Array(bytes.prefix(Int.random(in: 1...600, using: &random)))
  bytes.removeFirst(piece.count)
  var plaintext: [UInt8] = []
  do throws(TLSError) {
    try end.receive(piece.span, plaintext: &plaintext, output: &answer)
  } catch { bytes = [] }
}
