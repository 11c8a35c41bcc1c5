internal import Bytes
internal import Link
internal import Wire

/// Who is in a channel, asked for by whoever is told: back ends, and clients of protocols in which
/// that is a question.
extension GatewayLoop {
  /// BUDGET: members in one answer.
  static let membersMax = 10_000

  /// The first `membersMax` members, page by page from presence.
  func members(
    of name: ChannelName, _ completion: @escaping (Result<[Member], Refusal>) -> Void
  ) {
    members(of: name, from: 0, [], completion)
  }

  private func members(
    of name: ChannelName, from: UInt64, _ soFar: [Member],
    _ completion: @escaping (Result<[Member], Refusal>) -> Void
  ) {
    guard let link = presence.linkToAsk() else { return completion(.failure(.unavailable)) }
    let request = ReadPresence(
      remainingMs: settings.publishMaxMs, channel: name, from: from, count: 1000)
    ask(link, request, expecting: PresenceList.self) { [self] result in
      switch result {
      case .failure(let refusal): completion(.failure(refusal))
      case .success(let list):
        let members = soFar + list.members
        guard list.next > from, members.count < Self.membersMax else {
          return completion(.success(members))
        }
        self.members(of: name, from: list.next, members, completion)
      }
    }
  }

  /// Where each member is one connection: those, and their users. Whoever has none counts as one.
  private static func counts(_ members: [Member]) -> (connections: UInt32, members: UInt32) {
    var users: Set<[UInt8]> = []
    var nameless = 0
    for member in members {
      let user = ControlMessage.Person(member).user
      if user.isEmpty { nameless += 1 } else { users.insert([UInt8](user.utf8)) }
    }
    return (UInt32(clamping: members.count), UInt32(clamping: users.count + nameless))
  }

  /// How many there are: connections, and members. Of a channel that counts connections, connections
  /// and users, of the first `membersMax`.
  func memberCounts(
    of name: ChannelName,
    _ completion: @escaping (Result<(connections: UInt32, members: UInt32), Refusal>) -> Void
  ) {
    guard settings.policy(name)?.countsConnections != true else {
      return members(of: name) { completion($0.map(Self.counts)) }
    }
    guard let link = presence.linkToAsk() else { return completion(.failure(.unavailable)) }
    let request = ReadPresence(remainingMs: settings.publishMaxMs, channel: name, count: 0)
    ask(link, request, expecting: PresenceList.self) { result in
      completion(result.map { ($0.connections, $0.total) })
    }
  }
}
