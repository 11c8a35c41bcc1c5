import Bytes
import TestKit
import Testing
import Wire

@testable import HubCore

struct RoutingTableTests {
  @Test func oneChannelHasOneNumberOnAllLinks() {
    var table = RoutingTable()
    let first = table.open(request("a"), by: 1)
    let second = table.open(request("a"), by: 2)
    let other = table.open(request("b"), by: 1)
    #expect(first == second)
    #expect(first?.number != other?.number)
    #expect(table.channelCount == 2)
  }

  @Test func numbersBeginAtOneBecauseZeroStandsForNoChannel() throws {
    var table = RoutingTable()
    let handle = try table.opened(request("a"), by: 1)
    #expect(handle.number == 1)
    #expect(handle.generation > 0)
    #expect(table.index(.none) == nil)
    #expect(table.index(ChannelHandle(number: 0, generation: 1)) == nil)
  }

  @Test func aNumberIsFreeOnlyWhenTheLastLinkHasClosedIt() throws {
    var table = RoutingTable()
    let handle = try table.opened(request("a"), by: 1)
    _ = table.open(request("a"), by: 2)
    table.close(handle, by: 1)
    #expect(table.index(handle) != nil)
    table.close(handle, by: 2)
    #expect(table.index(handle) == nil)
    #expect(table.channelCount == 0)
  }

  @Test func aReusedNumberCarriesANewGenerationAndTheOldOneFindsNothing() throws {
    var table = RoutingTable()
    let old = try table.opened(request("a"), by: 1)
    table.close(old, by: 1)
    let new = try table.opened(request("b"), by: 1)
    #expect(new.number == old.number)
    #expect(new.generation != old.generation)
    #expect(table.index(old) == nil)
    #expect(table.index(new).flatMap { table[$0]?.name } == ChannelName("b"))
    // What still carries the old one changes nothing.
    table.close(old, by: 1)
    table.setClients(9, of: old, at: 1)
    #expect(table.index(new).flatMap { table[$0]?.subscriberTotal } == 0)
  }

  @Test func closingByALinkThatHasItNotOpenChangesNothing() throws {
    var table = RoutingTable()
    let handle = try table.opened(request("a"), by: 1)
    table.close(handle, by: 2)
    table.close(ChannelHandle(number: 77, generation: 1), by: 1)
    #expect(table.index(handle) != nil)
  }

  @Test func openingAgainReplacesTheFlags() throws {
    var table = RoutingTable()
    let handle = try table.opened(request("a", [.subscribe, .count]), by: 1)
    let index = try #require(table.index(handle))
    #expect(table[index]?.subscribers == [1])
    #expect(table[index]?.counters == [1])
    _ = table.open(request("a", [.publish]), by: 1)
    #expect(table[index]?.subscribers == [])
    #expect(table[index]?.counters == [])
    _ = table.open(request("a", [.subscribe]), by: 1)
    _ = table.open(request("a", [.subscribe]), by: 1)
    #expect(table[index]?.subscribers == [1])
  }

  @Test func aLostLinkLeavesEveryChannel() throws {
    var table = RoutingTable()
    let alone = try table.opened(request("a", clients: 3), by: 1)
    let shared = try table.opened(request("b", clients: 3), by: 1)
    _ = table.open(request("b", clients: 4), by: 2)
    let touched = table.remove(1)
    #expect(touched.left == [shared] && touched.freed == [channel("a")])
    #expect(table.index(alone) == nil)
    #expect(table.index(shared).flatMap { table[$0]?.subscriberTotal } == 4)
    let again = table.remove(1)
    #expect(again.left == [] && again.freed == [])
  }

  @Test func countsAreSummedOverLinksPagedAndInOrder() {
    var table = RoutingTable()
    for (name, clients) in [("b:2", 1), ("a:1", 2), ("b:1", 3), ("b:empty", 0)] {
      _ = table.open(request(name, clients: UInt32(clients)), by: 1)
    }
    _ = table.open(request("a:1", clients: 5), by: 2)
    let all = table.counts(prefix: "", after: "", limit: 10)
    #expect(all.page.map(\.0.text) == ["a:1", "b:1", "b:2"])
    #expect(all.page.map(\.1) == [7, 3, 1])
    #expect(all.total == 3 && !all.hasMore)
    let first = table.counts(prefix: "b:", after: "", limit: 1)
    #expect(first.page.map(\.0.text) == ["b:1"] && first.hasMore && first.total == 2)
    let none = table.counts(prefix: "b:", after: "", limit: 0)
    #expect(none.page.isEmpty && none.hasMore == false && none.total == 2)
    #expect(table.counts(prefix: "", after: "", limit: 0).total == 3)
    let rest = table.counts(prefix: "b:", after: "b:1", limit: 1)
    #expect(rest.page.map(\.0.text) == ["b:2"] && !rest.hasMore)
  }

  @Test func oneChannelIsFoundByItsWholeNameAndNoOther() {
    var table = RoutingTable()
    for (name, clients) in [("a", 0), ("a:1", 2), ("a:10", 3)] {
      _ = table.open(request(name, clients: UInt32(clients)), by: 1)
    }
    let found = table.count(of: channel("a:1"))
    #expect(found.total == 1 && found.page.map(\.name.text) == ["a:1"])
    #expect(found.page.map(\.subscribers) == [2])
    for name in ["a", "a:", "b"] {
      let missing = table.count(of: channel(name))
      #expect(missing.total == 0 && missing.page.isEmpty, "nobody subscribes to \(name)")
    }
  }

  @Test func countsThatLinksMakeUpNeitherOverflowNorCorruptTheSum() throws {
    var table = RoutingTable()
    let handle = try table.opened(request("a", clients: .max), by: 1)
    _ = table.open(request("a", clients: .max), by: 2)
    let index = try #require(table.index(handle))
    #expect(table[index]?.subscriberTotal == .max && table.subscribedCount == 1)
    table.setClients(0, of: handle, at: 1)
    table.setClients(3, of: handle, at: 2)
    #expect(table[index]?.subscriberTotal == 3)
    table.close(handle, by: 2)
    #expect(table[index]?.subscriberTotal == 0 && table.subscribedCount == 0)
  }

  @Test func aCountTakesEffectForItsLinkAlone() throws {
    var table = RoutingTable()
    let handle = try table.opened(request("a", clients: 1), by: 1)
    _ = table.open(request("a", clients: 2), by: 2)
    table.setClients(10, of: handle, at: 1)
    // A link that has not opened the channel has no clients there.
    table.setClients(100, of: handle, at: 3)
    #expect(table.index(handle).flatMap { table[$0]?.subscriberTotal } == 12)
  }

  @Test func anAnnouncementIsPassedOnOnceAndOnlyForwards() throws {
    var table = RoutingTable()
    let handle = try table.opened(request("a"), by: 1)
    let index = try #require(table.index(handle))
    let positions = [("e", 1), ("e", 1), ("e", 3), ("e", 2), ("f", 1)] as [(String, UInt64)]
    let isNew = positions.map { table.announce(position($0.0, $0.1), at: index) }
    #expect(isNew == [true, false, true, false, true], "a new epoch begins anew")
  }

  @Test func aLinkHasOnlySoManyNamesOpenWhoeverOpenedThemFirst() throws {
    var table = RoutingTable(namesMax: 2)
    let first = try table.opened(request("a"), by: 1)
    _ = table.open(request("b"), by: 1)
    _ = table.open(request("c"), by: 2)
    let new = table.open(request("d"), by: 1)
    let known = table.open(request("c"), by: 1)
    #expect(new == nil && known == nil, "another link has c open already")
    let again = table.open(request("a"), by: 1)
    #expect(again == first, "opening again costs nothing")
    table.close(first, by: 1)
    let afterwards = table.open(request("c"), by: 1)
    #expect(afterwards != nil)
  }

  @Test(arguments: [1, 2, 3] + [UInt64.random(in: 100...(.max))])
  func agreesWithAModelUnderRandomUse(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var table = RoutingTable()
    var model: [String: [LinkNumber: UInt32]] = [:]
    var known: [String: ChannelHandle] = [:]
    var seen: Set<ChannelHandle> = []
    for _ in 0..<3_000 {
      let name = "c\(Int.random(in: 0..<12, using: &random))"
      let link = Int.random(in: 1...4, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        let clients = UInt32.random(in: 0...5, using: &random)
        let handle = try table.opened(request(name, clients: clients), by: link)
        if model[name] == nil {
          #expect(seen.insert(handle).inserted, "seed \(seed): \(handle) was given out before")
          known[name] = handle
        }
        #expect(handle == known[name], "seed \(seed)")
        model[name, default: [:]][link] = clients
      case 5..<9:
        guard let handle = known[name] else { continue }
        table.close(handle, by: link)
        model[name]?[link] = nil
        if model[name]?.isEmpty == true { (model[name], known[name]) = (nil, nil) }
      default:
        _ = table.remove(link)
        for other in Array(model.keys) {
          model[other]?[link] = nil
          if model[other]?.isEmpty == true { (model[other], known[other]) = (nil, nil) }
        }
      }
      #expect(table.channelCount == model.count, "seed \(seed)")
      let subscribed = model.values.count { $0.values.contains { $0 > 0 } }
      #expect(table.subscribedCount == subscribed, "seed \(seed)")
      for (name, links) in model {
        let index = known[name].flatMap { table.index($0) }
        let total = index.flatMap { table[$0]?.subscriberTotal }
        #expect(total == links.values.reduce(0, +), "seed \(seed), channel \(name)")
      }
    }
  }
}

private func request(_ name: String, _ flags: OpenFlags = [.subscribe], clients: UInt32 = 0)
  -> OpenChannel
{
  OpenChannel(
    remainingMs: 1000, name: channel(name), flags: flags, isDurable: false, historyCount: 0,
    historyMs: 0, subscribers: clients)
}

extension RoutingTable {
  fileprivate mutating func opened(_ request: OpenChannel, by link: LinkNumber) throws
    -> ChannelHandle
  {
    let handle = open(request, by: link)
    return try #require(handle)
  }
}
