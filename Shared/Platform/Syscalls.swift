// INVARIANTS:
// - This file makes every system call of the I/O path. Pointers are lent for one call only.
// - Buffers are sized by their own arrays; counts handed to the kernel never exceed them.
// - Descriptors are borrowed; only `Descriptor` closes them.
// - EINTR is retried here and nowhere else; EAGAIN is an outcome, not an error.

internal import CLinux
internal import Glibc

/// The kernel, call by call. Each function names what it wraps.
public enum Syscalls {
  /// Repeats `call` while it is interrupted; gives its result or -errno.
  @inline(__always)
  static func retrying(_ call: () -> Int) -> Int {
    while true {
      let result = call()
      if result >= 0 { return result }
      let code = errno
      if code != EINTR { return -Int(code) }
    }
  }

  static func outcome(_ result: Int, zeroIsEnd: Bool) -> IOOutcome {
    if result > 0 { return .count(result) }
    if result == 0 { return zeroIsEnd ? .endOfStream : .count(0) }
    if result == -Int(EAGAIN) { return .wouldBlock }
    return .failed(Int32(truncatingIfNeeded: -result))
  }

  /// `recv(2)` into `buffer[offset...]`, at most `limit` bytes.
  public static func receive(
    _ descriptor: borrowing Descriptor, into buffer: inout [UInt8], at offset: Int,
    limit: Int = .max
  ) -> IOOutcome {
    let number = descriptor.number
    let result = unsafe buffer.withUnsafeMutableBytes { raw -> Int in
      let room = min(raw.count - offset, limit)
      guard offset >= 0, room > 0, let base = raw.baseAddress else { return -Int(ENOBUFS) }
      // SAFE BECAUSE offset + room is within the array.
      return retrying { unsafe recv(number, base + offset, room, 0) }
    }
    return outcome(result, zeroIsEnd: true)
  }

  /// `send(2)` of `bytes[offset...]` with MSG_NOSIGNAL.
  public static func send(
    _ descriptor: borrowing Descriptor, _ bytes: [UInt8], from offset: Int, limit: Int = .max
  ) -> IOOutcome {
    let number = descriptor.number
    let result = unsafe bytes.withUnsafeBytes { raw -> Int in
      let count = min(raw.count - offset, limit)
      guard offset >= 0, count > 0, let base = raw.baseAddress else { return 0 }
      // SAFE BECAUSE offset + count is within the array.
      return retrying { unsafe Glibc.send(number, base + offset, count, Int32(MSG_NOSIGNAL)) }
    }
    return outcome(result, zeroIsEnd: false)
  }

  /// `read(2)` on something that is no socket.
  public static func read(
    _ descriptor: borrowing Descriptor, into buffer: inout [UInt8], at offset: Int = 0
  ) -> IOOutcome {
    let number = descriptor.number
    let result = unsafe buffer.withUnsafeMutableBytes { raw -> Int in
      let room = raw.count - offset
      guard offset >= 0, room > 0, let base = raw.baseAddress else { return -Int(ENOBUFS) }
      // SAFE BECAUSE offset + room is the array's count.
      return retrying { unsafe Glibc.read(number, base + offset, room) }
    }
    return outcome(result, zeroIsEnd: true)
  }

  /// `pread(2)` from `position` of a file into `buffer[offset...]`.
  public static func read(
    _ descriptor: borrowing Descriptor, into buffer: inout [UInt8], at offset: Int,
    from position: UInt64
  ) -> IOOutcome {
    let number = descriptor.number
    let result = unsafe buffer.withUnsafeMutableBytes { raw -> Int in
      let room = raw.count - offset
      guard offset >= 0, room > 0, let base = raw.baseAddress,
        let start = off_t(exactly: position)
      else { return -Int(EINVAL) }
      // SAFE BECAUSE offset + room is the array's count.
      return retrying { unsafe pread(number, base + offset, room, start) }
    }
    return outcome(result, zeroIsEnd: true)
  }

  /// `write(2)` of `bytes[offset...]`.
  public static func write(
    _ descriptor: borrowing Descriptor, _ bytes: [UInt8], from offset: Int = 0
  ) -> IOOutcome {
    write(number: descriptor.number, bytes, from: offset)
  }

  /// `write(2)` to standard output (1) or standard error (2).
  public static func write(number: Int32, _ bytes: [UInt8], from offset: Int = 0) -> IOOutcome {
    let result = unsafe bytes.withUnsafeBytes { raw -> Int in
      let count = raw.count - offset
      guard offset >= 0, count > 0, let base = raw.baseAddress else { return 0 }
      // SAFE BECAUSE offset + count is the array's count.
      return retrying { unsafe Glibc.write(number, base + offset, count) }
    }
    return outcome(result, zeroIsEnd: false)
  }

  static func close(_ number: Int32) { _ = Glibc.close(number) }

  /// `fcntl(F_DUPFD_CLOEXEC)`: another descriptor of the same open file.
  public static func duplicate(
    _ descriptor: borrowing Descriptor
  ) throws(SystemError) -> Descriptor {
    let number = fcntl(descriptor.number, F_DUPFD_CLOEXEC, 0)
    guard number >= 0 else { throw SystemError(code: errno, call: "fcntl") }
    return Descriptor(owning: number)
  }

  /// `fcntl(2)`: O_NONBLOCK.
  public static func setNonBlocking(number: Int32) throws(SystemError) {
    let flags = fcntl(number, F_GETFL)
    guard flags >= 0, fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 else {
      throw SystemError(code: errno, call: "fcntl")
    }
  }

  /// A descriptor of /dev/null, to be held in reserve; closed where none can be had.
  public static func openNothing() -> Descriptor {
    Descriptor(owning: unsafe open("/dev/null", O_RDONLY | O_CLOEXEC))
  }

  /// Opens /dev/null wherever standard input, output or error is closed: else the next descriptor
  /// made would get its number, and what is printed would be written to it. Call first of all.
  public static func openStandardDescriptors() {
    for number in 0...2 as ClosedRange<Int32> where fcntl(number, F_GETFD) < 0 && errno == EBADF {
      // SAFE BECAUSE the path is a constant. The lowest free number is this one.
      _ = unsafe open("/dev/null", O_RDWR)
    }
  }

  /// `epoll_create1(2)`.
  public static func makePoller() throws(SystemError) -> Descriptor {
    let number = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard number >= 0 else { throw SystemError(code: errno, call: "epoll_create1") }
    return Descriptor(owning: number)
  }

  /// `eventfd(2)`, non-blocking.
  public static func makeEventDescriptor() throws(SystemError) -> Descriptor {
    let number = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    guard number >= 0 else { throw SystemError(code: errno, call: "eventfd") }
    return Descriptor(owning: number)
  }

  /// Adds one to an eventfd; a full counter is as good.
  public static func signal(event descriptor: borrowing Descriptor) {
    _ = eventfd_write(descriptor.number, 1)
  }

  /// Takes an eventfd's count to zero.
  public static func clear(event descriptor: borrowing Descriptor) {
    var count: eventfd_t = 0
    _ = unsafe eventfd_read(descriptor.number, &count)
  }

  /// `pipe2(2)` with CLOEXEC: (reading end, writing end).
  public static func makePipe() throws(SystemError) -> Pipe {
    var pair: [Int32] = [-1, -1]
    // SAFE BECAUSE the array holds the two integers that pipe2 fills.
    let result = unsafe pair.withUnsafeMutableBufferPointer {
      unsafe clinux_pipe($0.baseAddress)
    }
    guard result == 0 else { throw SystemError(code: -result, call: "pipe2") }
    return Pipe(reading: Descriptor(owning: pair[0]), writing: Descriptor(owning: pair[1]))
  }

  /// The two ends of a pipe.
  public struct Pipe: ~Copyable {
    public var reading: Descriptor
    public var writing: Descriptor
  }

  static func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  static func pause(_ nanoseconds: Int64) {
    guard nanoseconds > 0 else { return }
    var time = timespec(
      tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    // An interrupted pause goes on with what is left.
    var left = timespec()
    while unsafe nanosleep(&time, &left) != 0, errno == EINTR { time = left }
  }

  static func wallNanoseconds() -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  static func text(ofErrno code: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    // SAFE BECAUSE strerror_r ends its text within the count it is given; the result is copied.
    return unsafe buffer.withUnsafeMutableBytes { raw -> String in
      guard let base = raw.baseAddress else { return "error \(code)" }
      let chars = unsafe base.assumingMemoryBound(to: CChar.self)
      guard unsafe clinux_error_text(code, chars, raw.count) == 0 else { return "error \(code)" }
      return unsafe String(cString: chars)
    }
  }

  /// Processors this process may use (`sched_getaffinity(2)`), at least 1.
  public static var processorCount: Int { Int(clinux_processors()) }

  /// Resident memory of this process in bytes (`/proc/self/statm`); 0 where that can't be read.
  public static var residentBytes: Int {
    guard let bytes = try? Files.read(FilePath("/proc/self/statm"), bytesMax: 256) else { return 0 }
    let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    guard words.count > 1, let pages = Int(words[1]) else { return 0 }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// `getpid(2)`.
  public static var processID: Int32 { getpid() }

  /// `geteuid(2)`.
  public static var userID: UInt32 { geteuid() }

  /// The number of a user (`getpwnam_r(3)`); nil where there is none of that name.
  public static func userID(named name: String) -> UInt32? {
    var entry = unsafe passwd()
    var found: UnsafeMutablePointer<passwd>? = nil
    var room = [CChar](repeating: 0, count: 16 * 1024)
    let result = unsafe room.withUnsafeMutableBufferPointer { buffer -> Int32 in
      guard let base = buffer.baseAddress else { return ENOMEM }
      // SAFE BECAUSE the entry's texts stay within the buffer and only a number is taken out.
      return unsafe getpwnam_r(name, &entry, base, buffer.count, &found)
    }
    guard result == 0, unsafe found != nil else { return nil }
    return unsafe entry.pw_uid
  }

  /// Raises the soft limit of open files to the hard one and gives it (`setrlimit(2)`).
  @discardableResult
  public static func raiseDescriptorLimit() -> Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return 1024
    }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
  }
}
