internal import Glibc

// Runs seeds of the simulation, in one thread; ends with `N passed, N failed`.
//
//   Simulate [COUNT] [--from SEED] [--twice N] [--kept SEED,SEED…]
//   Simulate --seed SEED        one, with its whole trace
guard let runs = SeedRuns(Array(CommandLine.arguments.dropFirst())) else {
  print("Simulate [COUNT] [--from SEED] [--twice N] [--kept SEED,SEED…] | --seed SEED")
  exit(64)
}
exit(runs.run() ? 0 : 1)
