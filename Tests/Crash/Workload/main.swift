internal import EventStoreCore

let arguments = CommandLine.arguments
switch arguments.dropFirst().first {
case "bench" where arguments.count >= 7:
  var bench = Bench()
  bench.batch = Int(arguments[3]) ?? 64
  bench.streams = Int(arguments[4]) ?? 100
  bench.bytes = Int(arguments[5]) ?? 200
  bench.seconds = Double(arguments[6]) ?? 2
  if arguments.count > 7 { bench.options.indexLag = Int(arguments[7]) ?? 2_048 }
  if arguments.contains("mark") { bench.options.markSync = .beforeOutcome }
  try bench.run(in: arguments[2])
default:
  print("usage: CrashWorkload bench DIR BATCH STREAMS BYTES SECONDS [LAG] [mark]")
}
