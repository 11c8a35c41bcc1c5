/// What a frame is. Numbers never change meaning and are never reused.
///
/// A retired kind stays here as `retiredNN`, so that its number is not given out again.
public enum Kind: UInt16, Sendable, CaseIterable {
  // 1–31: every link.
  case hello = 1
  case proof = 2
  case heartbeat = 3
  case credit = 4
  case failure = 5
  case goodbye = 6
  case openPrincipal = 7
  case closePrincipal = 8

  // 32–63: hub.
  case openChannel = 32
  case channelOpened = 33
  case closeChannel = 34
  case channelClosed = 35
  case publish = 36
  case published = 37
  case publication = 38
  case gap = 39
  case readHistory = 40
  case historyPage = 41
  case countChannels = 42
  case channelCounts = 43
  case subscriberCount = 44
  case readHeads = 45
  case headsPage = 46
  case takeRelays = 47
  case relay = 48
  case relayed = 49
  case endRelay = 50
  case removeHistory = 51
  case historyRemoved = 52
  case streamChanged = 53

  // 64–95: event store.
  case append = 64
  case appended = 65
  case readStream = 66
  case streamPage = 67
  case listStreams = 68
  case streamList = 69
  case probe = 70
  case probed = 71
  case putArtifact = 72
  case artifactReady = 73
  case artifactChunk = 74
  case endArtifact = 75
  case artifactStored = 76
  case getArtifact = 77
  case artifactFound = 78
  case artifactCredit = 79
  case cancelArtifact = 80
  case findArtifact = 81
  case artifactStreams = 82
  case forkStream = 83
  case streamForked = 84
  case trimStream = 85
  case deleteStream = 86
  case streamDeleted = 87
  case describeStreams = 88
  case streamDescriptions = 89
  case readEvents = 90
  case eventsPage = 91
  case putSnapshot = 92
  case snapshotKept = 93
  case readSnapshot = 94
  case snapshotFound = 95

  // 96–106: presence.
  case lease = 96
  case leased = 97
  case presenceBatch = 98
  case watchPresence = 99
  case unwatchPresence = 100
  case presencePage = 101
  case presenceChanges = 102
  case readPresence = 103
  case presenceList = 104
  case requestReport = 105
  case presenceRefused = 106

  // 107–127: event store.
  case beginImport = 107
  case importReady = 108
  case importEvents = 109
  case finishImport = 110
  case imported = 111

  // 128–143: every service.
  case readMetrics = 128
  case metricsText = 129

  /// The most bytes a body of this kind may have; checked before a byte of it is kept.
  public var bodyBytesMax: Int {
    switch self {
    case .append, .importEvents, .streamPage, .eventsPage, .historyPage, .publish, .publication, .relay,
      .relayed, .putSnapshot, .snapshotFound:
      Limits.largeBodyBytesMax
    case .artifactChunk: Limits.chunkBytesMax + 64
    case .presenceBatch, .presencePage, .presenceChanges, .presenceList, .headsPage, .channelCounts,
      .streamList,
      .readHeads, .artifactStreams, .streamDescriptions, .metricsText:
      Limits.pageBodyBytesMax
    default: Limits.smallBodyBytesMax
    }
  }
}

extension Kind {
  /// Control frames cost no credit: without them the link itself could not go on.
  public var isControl: Bool { rawValue < 32 && self != .failure }
}
