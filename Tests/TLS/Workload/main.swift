// A server over pipes for clients that are not ours, and handshakes by the thousand.
//
//   TLSWorkload serve DIRECTORY       echoes; writes its certificate to DIRECTORY/certificate.pem
//   TLSWorkload serve DIRECTORY tickets COUNT   the same for COUNT connections, one after another
//   TLSWorkload handshakes COUNT SEED           both ends in memory; run it under LeakSanitizer
//   TLSWorkload streams COUNT SEED              both ends as streams over sockets; the same
//
// Connections of `serve` are frames on standard input: a count in four bytes, little-endian, then the
// bytes; a count of zero ends one. Every frame is answered by one frame of what has to be sent.

import Glibc
import TLS

let arguments = CommandLine.arguments
switch (arguments.dropFirst().first, arguments.count) {
case ("serve", 3): exit(try serve(directory: arguments[2], count: 1, resumption: .off))
case ("serve", 5):
  exit(try serve(directory: arguments[2], count: Int(arguments[4]) ?? 1, resumption: .tickets))
case ("handshakes", 4):
  exit(try handshakes(count: Int(arguments[2]) ?? 0, seed: UInt64(arguments[3]) ?? 0))
case ("streams", 4):
  exit(try streams(count: Int(arguments[2]) ?? 0, seed: UInt64(arguments[3]) ?? 0))
default:
  print("usage: TLSWorkload serve DIRECTORY [tickets COUNT] | handshakes COUNT SEED | streams COUNT SEED")
  exit(64)
}
