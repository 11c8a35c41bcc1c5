/// What `strace -f -y` saw of the event store: whether each acknowledgement was sent after the sync of
/// what it acknowledges (row 4).
struct SyncOrder {
  struct Call {
    var name: Substring
    /// The file behind the first argument, as `-y` shows it, with its number: two sockets differ by it.
    var target: Substring
    /// The line of the trace on which it began, and that on which it ended.
    var began: Int
    var ended: Int
    var text: Substring
    var isDone: Bool
  }

  /// In the order in which they ended.
  private(set) var calls: [Call] = []

  init(_ lines: [Substring]) {
    var unfinished: [Substring: Call] = [:]
    for (number, line) in lines.enumerated() {
      guard let space = line.firstIndex(of: " ") else { continue }
      let thread = line[..<space]
      let rest = line[space...].drop { $0 == " " }
      if rest.hasPrefix("<... ") {
        guard var call = unfinished.removeValue(forKey: thread) else { continue }
        call.ended = number
        call.text += rest
        call.isDone = !rest.contains(" = -1 ")
        calls.append(call)
      } else if let open = rest.firstIndex(of: "(") {
        let call = Call(
          name: rest[..<open],
          target: rest[open...].dropFirst().prefix { $0 != "," && $0 != ")" && $0 != " " },
          began: number, ended: number, text: rest, isDone: !rest.contains(" = -1 "))
        if rest.hasSuffix("<unfinished ...>") {
          unfinished[thread] = call
        } else {
          calls.append(call)
        }
      }
    }
  }

  /// What is wrong with the acknowledgement of the append whose payload holds `mark`; nil if nothing is.
  ///
  /// Between reading the append and writing the answer to the same socket there must be, in this order,
  /// a write of the log, a sync of it that began after that, and a write of the head mark.
  func problem(with mark: String) -> String? {
    guard let read = calls.first(where: { $0.name == "recvfrom" && $0.text.contains(mark) }) else {
      return "\(mark) was never read"
    }
    // Heartbeats go the same way: the answer is the frame of kind *appended*, 0x41, with the flag of a reply.
    let isAnswer = { (call: Call) in
      call.began > read.ended && call.name == "sendto" && call.target == read.target
        && call.text.contains(#"A\0\2\0"#)
    }
    guard let answer = calls.first(where: isAnswer) else {
      return "\(mark) was never answered"
    }
    guard let write = first("pwrite64", to: "-wal>", after: read.ended) else {
      return "\(mark) was never written"
    }
    guard let sync = first("fdatasync", to: "-wal>", after: write.ended) else {
      return "\(mark) was never synced"
    }
    guard let head = first("pwrite64", to: "/head.mark>", after: sync.ended) else {
      return "no head was marked after the sync of \(mark)"
    }
    return head.ended < answer.began ? nil : "\(mark) was acknowledged before it was safe"
  }

  private func first(_ name: String, to target: String, after line: Int) -> Call? {
    calls.first { $0.began > line && $0.name == name && $0.isDone && $0.target.hasSuffix(target) }
  }
}
