import Glibc
import TLS

/// Serves connections that come as frames, see `main.swift`. The exit code.
func serve(directory: String, count: Int, resumption: TLSContext.Resumption) throws -> Int32 {
  let certificate = try TLSCertificate.selfSigned(names: ["localhost", "127.0.0.1"])
  let file = unsafe fopen(directory + "/certificate.pem", "w")
  guard let file = unsafe file else { return 1 }
  _ = unsafe fwrite(certificate.chain, 1, certificate.chain.count, file)
  unsafe fclose(file)
  let context = try TLSContext(server: certificate, resumption: resumption)
  write(frame: Array("ready".utf8))
  for _ in 0..<count { serve(TLSConnection(context)) }
  return 0
}

/// Echoes until the peer has ended or failed; after a failure its alert and no more.
private func serve(_ connection: TLSConnection) {
  while let bytes = readFrame(), !bytes.isEmpty {
    var plaintext: [UInt8] = []
    var output: [UInt8] = []
    do throws(TLSError) {
      try connection.receive(bytes.span, plaintext: &plaintext, output: &output)
      if !plaintext.isEmpty { try connection.send(plaintext.span, output: &output) }
      if connection.state == .ended { connection.close(into: &output) }
    } catch { writeAll(Array("\(error)\n".utf8), to: 2) }
    write(frame: output)
  }
}

private func readFrame() -> [UInt8]? {
  guard let head = readBytes(4) else { return nil }
  let count = head.reversed().reduce(0) { $0 << 8 | Int($1) }
  return count == 0 ? [] : readBytes(count)
}

private func readBytes(_ count: Int) -> [UInt8]? {
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while bytes.count < count {
    let got = unsafe read(0, &chunk, min(chunk.count, count - bytes.count))
    guard got > 0 else { return nil }
    bytes += chunk[..<got]
  }
  return bytes
}

private func write(frame bytes: [UInt8]) {
  let head = (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) }
  writeAll(head + bytes, to: 1)
}

private func writeAll(_ bytes: [UInt8], to file: Int32) {
  var rest = bytes
  while !rest.isEmpty {
    let count = unsafe write(file, rest, rest.count)
    guard count > 0 else { exit(1) }
    rest.removeFirst(count)
  }
}
