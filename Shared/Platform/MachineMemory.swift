internal import Bytes

/// How much memory this process may use: what the machine has, or less where a control group says so.
public enum MachineMemory {
  /// Bytes; nil where nothing can be found out. Reads some small files of the kernel's; call it once.
  ///
  /// Source: `/proc/meminfo` (proc(5)), `memory.max` of cgroup v2 and `memory.limit_in_bytes` of v1.
  public static var bytes: Int? {
    var found: [Int] = []
    if let text = text("/proc/meminfo"), let total = total(meminfo: text) { found.append(total) }
    for file in limitFiles(cgroups: text("/proc/self/cgroup") ?? "") {
      if let text = text(file), let limit = limit(text) { found.append(limit) }
    }
    return found.min()
  }

  private static func text(_ path: String) -> String? {
    guard let bytes = try? Files.read(FilePath(path), bytesMax: 64 * 1024) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The line `MemTotal:  16384 kB`.
  static func total(meminfo: String) -> Int? {
    for line in meminfo.split(separator: "\n") where line.hasPrefix("MemTotal:") {
      let words = line.split(separator: " ")
      guard words.count > 1, let kibibytes = Int(words[1]) else { return nil }
      let (bytes, isOver) = kibibytes.multipliedReportingOverflow(by: 1024)
      return isOver ? nil : bytes
    }
    return nil
  }

  /// A number, or `max`, which is no limit.
  static func limit(_ text: String) -> Int? {
    guard let line = text.split(separator: "\n").first, let bytes = Int(line), bytes > 0 else {
      return nil
    }
    return bytes
  }

  /// The files that may hold a limit for who is in these groups: its own group's and all above it.
  static func limitFiles(cgroups: String) -> [String] {
    // Within a container the group's path may be that of the host, and its own the root.
    var files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
    for line in cgroups.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let isUnified = parts[0] == "0" && parts[1].isEmpty
      guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
      let root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
      let name = isUnified ? "memory.max" : "memory.limit_in_bytes"
      var group = parts[2].split(separator: "/").prefix(64)
      while !group.isEmpty {
        files.append("\(root)/\(group.joined(separator: "/"))/\(name)")
        group.removeLast()
      }
    }
    return files
  }
}
