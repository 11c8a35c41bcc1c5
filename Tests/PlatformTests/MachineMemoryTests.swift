import Testing

@testable import Platform

@Suite struct MachineMemoryTests {
  @Test func readsWhatTheMachineHas() {
    #expect(MachineMemory.total(meminfo: "MemTotal:       16384 kB\nMemFree: 1 kB\n") == 16_384 * 1024)
    #expect(MachineMemory.total(meminfo: "MemFree: 1 kB\n") == nil)
    #expect(MachineMemory.total(meminfo: "MemTotal: many kB\n") == nil)
    #expect(MachineMemory.total(meminfo: "MemTotal: 9223372036854775807 kB") == nil)
  }

  @Test func noLimitIsNone() {
    #expect(MachineMemory.limit("536870912\n") == 536_870_912)
    #expect(MachineMemory.limit("max\n") == nil)
    #expect(MachineMemory.limit("") == nil)
  }

  @Test func looksInEveryGroupAbove() {
    let files = MachineMemory.limitFiles(cgroups: "0::/system.slice/sapphire.service\n")
    #expect(files.contains("/sys/fs/cgroup/system.slice/sapphire.service/memory.max"))
    #expect(files.contains("/sys/fs/cgroup/system.slice/memory.max"))
    #expect(files.contains("/sys/fs/cgroup/memory.max"))
    let old = MachineMemory.limitFiles(cgroups: "5:cpu,cpuacct:/a\n4:memory:/docker/abc\n")
    #expect(old.contains("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes"))
    #expect(!old.contains { $0.contains("/a/") })
  }

  @Test func thisMachineHasSome() throws {
    #expect(try #require(MachineMemory.bytes) > 1 << 20)
  }
}
