import Glibc
import Synchronization

// Four threads and one `Mutex`: what stands under it is no race, also when threads meet at it. With an
// argument they also share what no lock guards, and that has to be found.

final class Shared {
  let count = Mutex(0)
  var guarded = 0
  var bare = 0
}

@main struct Main {
  static func main() {
    let shared = Unmanaged.passRetained(Shared())
    var threads: [pthread_t] = []
    for _ in 0..<4 {
      var thread = pthread_t()
      pthread_create(&thread, nil, work, shared.toOpaque())
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    let value = shared.takeRetainedValue()
    precondition(value.guarded == 80_000 && value.count.withLock { $0 } == 80_000)
  }
}

private func work(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  let shared = Unmanaged<Shared>.fromOpaque(context).takeUnretainedValue()
  let isRacing = CommandLine.arguments.count > 1
  for _ in 0..<20_000 {
    shared.count.withLock {
      $0 += 1
      shared.guarded += 1
    }
    if isRacing { shared.bare &+= 1 }
  }
  return nil
}
