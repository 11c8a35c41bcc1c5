internal import Bytes
internal import CSimulatedDisk
internal import EventStoreCore
internal import StoreSimulation
internal import Wire

/// What the store has to say of a page.
enum PageAnswer {
  case page(EventPage)
  /// A fork's name, and there is none.
  case noSuchFork
}

/// What the store is asked, by others and by the judge.
extension StoreHost {
  /// A page of a stream; nil where the store can't say now.
  func read(_ name: ChannelName, after: Offset, count: Int, _ done: @escaping (PageAnswer?) -> Void)
  {
    guard isOpen, readsWaiting < swarm.queueMax else { return done(nil) }
    readsWaiting += 1
    world.after(max(pausedUntil - world.now, world.between(20...2_000))) { [self, generation] in
      guard generation == self.generation, let reader else { return }
      readsWaiting -= 1
      do throws(ReadFailure) {
        let page = try reader.read(name, from: after, count: count)
        judge.saw(page, of: name.text, from: after)
        done(.page(page))
      } catch {
        if case .noSuchFork = error { return done(.noSuchFork) }
        if case .corrupt = error, !isDamaged, !mayMisread { world.fail("\(error)") }
        done(nil)
      }
      if disk.isOff { fell("power went while reading") }
    }
  }

  /// What the outbox has after a position; nil where it can't be read now.
  func unannounced(after position: Int64, _ done: @escaping (AnnouncementPage?) -> Void) {
    world.after(world.between(20...2_000)) { [self, generation] in
      guard generation == self.generation, let reader else { return }
      done(try? reader.unannounced(after: position, limit: swarm.announcePage))
    }
  }

  /// The state as a power failure would leave it now, opened from a copy: what is acknowledged or was shown
  /// to anybody is in it.
  func auditPowerLoss() {
    guard isOpen, !isDamaged, !disk.isOff else { return }
    let image = SimulatedDisk(copyOf: disk, seed: world.random.next())
    image.crash(.keepsNone)
    var options = swarm.storeOptions
    options.disk = image
    options.entropy = StoreEntropy { 7 }
    do throws(StoreFailure) {
      let store = try EventStore(directory: Self.directory, options: options, now: instant)
      judge.opened(try StoreReader(of: store), by: "an image without what was not synced")
    } catch {
      world.fail("an image without what was not synced: \(error)")
    }
  }

  /// All that is stored, once everything is quiet.
  func auditAll() {
    guard let reader else { return }
    judge.opened(reader, by: "the store at the end")
    judge.compareOrder(reader)
  }
}
