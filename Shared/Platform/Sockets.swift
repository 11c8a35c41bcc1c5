// INVARIANTS:
// - Socket addresses live on the stack of one call; the kernel copies them.
// - A path is checked against sockaddr_un before it is copied into it.
// - Descriptors made here are non-blocking and close-on-exec from birth.

internal import CLinux
internal import Glibc

/// Making, accepting and connecting stream sockets.
public enum Sockets {
  /// A listening socket. A stale Unix socket file that nobody listens on is replaced.
  ///
  /// - Parameter sharing: several loops bind the same TCP address (SO_REUSEPORT).
  public static func listen(on address: SocketAddress, sharing: PortSharing = .exclusive)
    throws(SystemError) -> Descriptor
  {
    switch address {
    case .unix(let path): return try listenUnix(path)
    case .tcp(let host, let port): return try listenTCP(host, port, sharing)
    }
  }

  public enum PortSharing: Sendable {
    /// Nobody else may bind it.
    case exclusive
    /// As `exclusive`, and once it listens those with `betweenLoops` may join. Of two that try at
    /// the same time one gets it.
    case firstOfLoops
    case betweenLoops
  }

  /// A connection attempt; when `isPending`, writability tells that it ended (`connectError`).
  public struct Attempt: ~Copyable {
    public var descriptor: Descriptor
    public let isPending: Bool

    /// The descriptor, to be owned elsewhere.
    public consuming func release() -> Descriptor { descriptor }
  }

  /// Begins to connect. Names are looked up here, which may block: numeric hosts never do.
  public static func connect(to address: SocketAddress) throws(SystemError) -> Attempt {
    switch address {
    case .unix(let path):
      let descriptor = try make(AF_UNIX)
      let result = unsafe try withUnixAddress(path) { pointer, count in
        unsafe Glibc.connect(descriptor.number, pointer, count) == 0 ? 0 : errno
      }
      // EAGAIN means that the listener's backlog is full: a refusal that passes.
      guard result == 0 else {
        throw SystemError(code: result, call: "connect", subject: address.description)
      }
      return Attempt(descriptor: descriptor, isPending: false)
    case .tcp(let host, let port):
      let found = try resolve(host, port)
      let descriptor = try make(found.family)
      setNoDelay(descriptor)
      let result = unsafe found.withPointer { pointer, count in
        unsafe Glibc.connect(descriptor.number, pointer, count) == 0 ? 0 : errno
      }
      if result == 0 { return Attempt(descriptor: descriptor, isPending: false) }
      guard result == EINPROGRESS else {
        throw SystemError(code: result, call: "connect", subject: address.description)
      }
      return Attempt(descriptor: descriptor, isPending: true)
    }
  }

  /// `socketpair(2)`: two connected Unix stream sockets, non-blocking and close-on-exec.
  public static func pair() throws(SystemError) -> Pair {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    var numbers: [Int32] = [-1, -1]
    // SAFE BECAUSE the array holds the two integers that socketpair fills.
    let result = unsafe numbers.withUnsafeMutableBufferPointer {
      unsafe socketpair(AF_UNIX, type, 0, $0.baseAddress) == 0 ? 0 : errno
    }
    guard result == 0 else { throw SystemError(code: result, call: "socketpair") }
    return Pair(first: Descriptor(owning: numbers[0]), second: Descriptor(owning: numbers[1]))
  }

  /// The two ends of a connection.
  public struct Pair: ~Copyable {
    public var first: Descriptor
    public var second: Descriptor
  }

  /// `SO_ERROR`: nil once a pending connection stands.
  public static func connectError(_ descriptor: borrowing Descriptor) -> SystemError? {
    var code: Int32 = 0
    var count = socklen_t(MemoryLayout<Int32>.size)
    let result = unsafe getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &code, &count)
    if result != 0 { return SystemError(code: errno, call: "getsockopt") }
    return code == 0 ? nil : SystemError(code: code, call: "connect")
  }

  /// What became of the bytes written to a connection.
  public struct Progress: Equatable, Sendable {
    /// Acknowledged by the peer's kernel since the connection began.
    public var taken: UInt64
    /// Not acknowledged yet.
    public var pending: UInt64

    public init(taken: UInt64, pending: UInt64) {
      self.taken = taken
      self.pending = pending
    }
  }

  /// `TCP_INFO` and `SIOCOUTQ`; nil where the kernel does not tell, as for a Unix socket.
  public static func progress(_ descriptor: borrowing Descriptor) -> Progress? {
    var progress = Progress(taken: 0, pending: 0)
    let result = unsafe clinux_tcp_progress(
      descriptor.number, &progress.taken, &progress.pending)
    return result == 0 ? progress : nil
  }

  public struct Accepted: ~Copyable {
    public var descriptor: Descriptor
    public let peer: PeerIdentity

    /// The descriptor, to be owned elsewhere.
    public consuming func release() -> Descriptor { descriptor }
  }

  /// `accept4(2)`; nil when nobody waits.
  public static func accept(_ listener: borrowing Descriptor) throws(SystemError) -> Accepted? {
    var storage = sockaddr_storage()
    var count: socklen_t = 0
    while true {
      let number = unsafe clinux_accept(listener.number, &storage, &count)
      if number >= 0 {
        let descriptor = Descriptor(owning: number)
        if Int32(storage.ss_family) == AF_UNIX {
          let peer = try credentials(descriptor)
          return Accepted(descriptor: descriptor, peer: peer)
        }
        return Accepted(
          descriptor: descriptor, peer: .remote(address: numericHost(&storage, count)))
      }
      switch -number {
      case EAGAIN: return nil
      case EINTR, ECONNABORTED, EPROTO: continue
      default: throw SystemError(code: -number, call: "accept4")
      }
    }
  }

  /// The address a listening socket got, with its real port.
  public static func localAddress(_ descriptor: borrowing Descriptor) throws(SystemError)
    -> SocketAddress
  {
    var storage = sockaddr_storage()
    var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(descriptor.number, $0, &count)
      }
    }
    guard result == 0 else { throw SystemError(code: errno, call: "getsockname") }
    return .tcp(host: numericHost(&storage, count), port: port(of: &storage))
  }

  /// `shutdown(2)` of the writing side.
  public static func shutdownWriting(_ descriptor: borrowing Descriptor) {
    _ = shutdown(descriptor.number, Int32(SHUT_WR))
  }

  /// Sets SO_SNDBUF; a hint, so errors are ignored.
  public static func setSendBuffer(_ descriptor: borrowing Descriptor, bytes: Int32) {
    set(descriptor.number, SOL_SOCKET, SO_SNDBUF, bytes)
  }

  /// Sets TCP_NOTSENT_LOWAT: the kernel takes more only while it holds fewer bytes than this that it
  /// has not begun to send. A hint, and nothing for a Unix socket, so errors are ignored.
  public static func setUnsentMax(_ descriptor: borrowing Descriptor, bytes: Int32) {
    set(descriptor.number, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, bytes)
  }

  /// Makes `close` send a reset: for tests of peers that vanish.
  public static func setResetOnClose(_ descriptor: borrowing Descriptor) {
    var value = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(
      descriptor.number, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
  }

  // MARK: -

  private static func make(_ family: Int32) throws(SystemError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = socket(family, type, 0)
    guard number >= 0 else { throw SystemError(code: errno, call: "socket") }
    return Descriptor(owning: number)
  }

  private static func set(_ number: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    _ = unsafe setsockopt(number, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  private static func setNoDelay(_ descriptor: borrowing Descriptor) {
    set(descriptor.number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
  }

  private static func listenUnix(_ path: String) throws(SystemError) -> Descriptor {
    let descriptor = try make(AF_UNIX)
    var result = unsafe try withUnixAddress(path) { pointer, count in
      unsafe bind(descriptor.number, pointer, count) == 0 ? 0 : errno
    }
    if result == EADDRINUSE, isStale(path) {
      _ = unsafe unlink(path)
      result = unsafe try withUnixAddress(path) { pointer, count in
        unsafe bind(descriptor.number, pointer, count) == 0 ? 0 : errno
      }
    }
    guard result == 0 else {
      throw SystemError(code: result, call: "bind", subject: "unix:\(path)")
    }
    guard Glibc.listen(descriptor.number, 4096) == 0 else {
      throw SystemError(code: errno, call: "listen", subject: "unix:\(path)")
    }
    return descriptor
  }

  /// Nobody answers at the socket file: what a killed process leaves behind.
  private static func isStale(_ path: String) -> Bool {
    do throws(SystemError) {
      _ = try connect(to: .unix(path: path))
      return false
    } catch {
      return error.code == ECONNREFUSED
    }
  }

  private static func listenTCP(_ host: String, _ port: UInt16, _ sharing: PortSharing)
    throws(SystemError) -> Descriptor
  {
    let found = try resolve(host, port)
    let descriptor = try make(found.family)
    set(descriptor.number, SOL_SOCKET, SO_REUSEADDR, 1)
    // [::] is reached over IPv4 too, however the machine is set up (ipv6(7)).
    if found.family == AF_INET6 { set(descriptor.number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
    if sharing == .betweenLoops { set(descriptor.number, SOL_SOCKET, SO_REUSEPORT, 1) }
    let result = unsafe found.withPointer { pointer, count in
      unsafe bind(descriptor.number, pointer, count) == 0 ? 0 : errno
    }
    let subject = SocketAddress.tcp(host: host, port: port).description
    guard result == 0 else { throw SystemError(code: result, call: "bind", subject: subject) }
    // Connections inherit it: a system call less for each.
    setNoDelay(descriptor)
    guard Glibc.listen(descriptor.number, 4096) == 0 else {
      throw SystemError(code: errno, call: "listen", subject: subject)
    }
    // Only now: set before, it would let another process listen here as well.
    if sharing == .firstOfLoops { set(descriptor.number, SOL_SOCKET, SO_REUSEPORT, 1) }
    return descriptor
  }

  private static func withUnixAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) throws(SystemError) -> Int32 {
    let bytes = [UInt8](path.utf8)
    guard bytes.count <= SocketAddress.pathBytesMax else {
      throw SystemError(code: ENAMETOOLONG, call: "bind", subject: "unix:\(path)")
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }

  private struct Resolved {
    var storage: sockaddr_storage
    var count: socklen_t
    var family: Int32 { Int32(storage.ss_family) }

    func withPointer(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
      unsafe withUnsafePointer(to: storage) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe body($0, count)
        }
      }
    }
  }

  /// The numeric addresses of a host, in the order in which they should be tried, at most eight.
  /// Blocks where the host is a name that has to be looked up.
  public static func addresses(of host: String) throws(SystemError) -> [String] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>? = nil
    let result = unsafe getaddrinfo(host, nil, &hints, &list)
    guard result == 0, let first = unsafe list else {
      // SAFE BECAUSE the text is a constant of the library, ended by NUL.
      let reason = unsafe gai_strerror(result).map { unsafe String(cString: $0) }
      throw SystemError(
        code: EADDRNOTAVAIL, call: "looking up", subject: host, explanation: reason)
    }
    defer { unsafe freeaddrinfo(first) }
    var found: [String] = []
    var next = unsafe list
    while let entry = unsafe next, found.count < 8 {
      unsafe next = entry.pointee.ai_next
      var storage = sockaddr_storage()
      let count = unsafe entry.pointee.ai_addrlen
      // SAFE BECAUSE the entry has `count` bytes, which fit into the storage.
      guard Int(count) <= MemoryLayout<sockaddr_storage>.size,
        let source = unsafe entry.pointee.ai_addr
      else { continue }
      unsafe withUnsafeMutableBytes(of: &storage) {
        unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: source, count: Int(count)))
      }
      let address = numericHost(&storage, count)
      if !found.contains(address) { found.append(address) }
    }
    return found
  }

  private static func resolve(_ host: String, _ port: UInt16) throws(SystemError) -> Resolved {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>? = nil
    let subject = SocketAddress.tcp(host: host, port: port).description
    let result = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard result == 0, let first = unsafe list else {
      // SAFE BECAUSE the text is a constant of the library, ended by NUL.
      let reason = unsafe gai_strerror(result).map { unsafe String(cString: $0) }
      throw SystemError(
        code: EADDRNOTAVAIL, call: "looking up", subject: subject, explanation: reason)
    }
    defer { unsafe freeaddrinfo(first) }
    var storage = sockaddr_storage()
    let count = unsafe first.pointee.ai_addrlen
    guard Int(count) <= MemoryLayout<sockaddr_storage>.size,
      let source = unsafe first.pointee.ai_addr
    else { throw SystemError(code: EADDRNOTAVAIL, call: "getaddrinfo", subject: subject) }
    unsafe withUnsafeMutableBytes(of: &storage) {
      unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: source, count: Int(count)))
    }
    return Resolved(storage: storage, count: count)
  }

  private static func credentials(_ descriptor: borrowing Descriptor) throws(SystemError)
    -> PeerIdentity
  {
    var pid: Int32 = 0
    var uid: UInt32 = 0
    let result = unsafe clinux_peer_credentials(descriptor.number, &pid, &uid)
    guard result == 0 else { throw SystemError(code: -result, call: "getsockopt") }
    return .local(pid: pid, uid: uid)
  }

  private static func numericHost(_ storage: inout sockaddr_storage, _ count: socklen_t) -> String {
    if Int32(storage.ss_family) == AF_INET { return numericIPv4(&storage) }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let result = unsafe withUnsafePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe text.withUnsafeMutableBufferPointer { room in
          unsafe getnameinfo(
            address, count, room.baseAddress, socklen_t(room.count), nil, 0, NI_NUMERICHOST)
        }
      }
    }
    guard result == 0 else { return "unknown" }
    let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `getnameinfo` prints through the locale's formats, ten times the work.
  private static func numericIPv4(_ storage: inout sockaddr_storage) -> String {
    // SAFE BECAUSE the storage is larger than a sockaddr_in, whose address is bytes 4 to 7, and four
    // numbers of at most three digits with what is between them are 15 bytes.
    unsafe withUnsafeBytes(of: &storage) { raw in
      unsafe String(unsafeUninitializedCapacity: 15) { text in
        var count = 0
        for index in 4..<8 {
          let part = unsafe raw[index]
          if index > 4 { unsafe text[count] = 46; count &+= 1 }
          if part >= 100 { unsafe text[count] = 48 &+ part / 100; count &+= 1 }
          if part >= 10 { unsafe text[count] = 48 &+ part / 10 % 10; count &+= 1 }
          unsafe text[count] = 48 &+ part % 10
          count &+= 1
        }
        return count
      }
    }
  }

  private static func port(of storage: inout sockaddr_storage) -> UInt16 {
    // sin_port and sin6_port stand at the same place.
    unsafe withUnsafeBytes(of: &storage) { raw in
      unsafe UInt16(raw[2]) << 8 | UInt16(raw[3])
    }
  }
}
