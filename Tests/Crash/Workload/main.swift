internal import EventStoreCore

let arguments = CommandLine.arguments
do {
  switch arguments.dropFirst().first {
  case "bench" where arguments.count >= 7:
    var bench = Bench()
    bench.batch = Int(arguments[3]) ?? 64
    bench.streams = Int(arguments[4]) ?? 100
    bench.bytes = Int(arguments[5]) ?? 200
    bench.seconds = Double(arguments[6]) ?? 2
    if arguments.count > 7 { bench.options.tailBytes = Int(arguments[7]) ?? StoreLimits.tailBytesMax }
    if arguments.contains("mark") { bench.options.markSync = .beforeOutcome }
    try bench.run(in: arguments[2])
  case "record" where arguments.count >= 5:
    var record = Record(
      arguments[2], seed: UInt64(arguments[3]) ?? 1, isLossy: arguments.contains("lossy"))
    try record.run(steps: Int(arguments[4]) ?? 100)
  case "resume" where arguments.count == 3:
    try Resume.run(arguments[2])
  default:
    give(
      """
      usage: CrashWorkload record DIR SEED STEPS [lossy]
             CrashWorkload resume DIR
             CrashWorkload bench DIR BATCH STREAMS BYTES SECONDS [LAG] [mark]
      """, 64)
  }
} catch let failure as StoreFailure {
  give(failure.description, failure.exitCode)
}
