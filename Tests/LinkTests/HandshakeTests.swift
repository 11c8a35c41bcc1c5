import Bytes
import Testing
import Wire

@testable import Link

/// One test for each arrow of the handshake, and for what has no arrow (reliability rows 49, 50).
struct HandshakeTests {
  private let key = [UInt8](repeating: 7, count: 32)

  @Test func withoutAKeyTheHelloOpens() {
    var machine = handshake(.gateway)
    guard case .send(let hello) = machine.started() else { return unexpected() }
    #expect(hello.role == .gateway && hello.nonce.isEmpty)
    #expect(machine.received(.receivedHello(Hello(.hub))) == [.opened(peer: Hello(.hub), version: 1)])
  }

  @Test func withAKeyBothProveItAndOpen() {
    var (one, other) = (handshake(.gateway, key, nonce: 1), handshake(.hub, key, nonce: 2))
    guard case .send(let first) = one.started(), case .send(let second) = other.started(),
      case .prove(let firstProof) = one.received(.receivedHello(second)).first,
      case .prove(let secondProof) = other.received(.receivedHello(first)).first
    else { return unexpected() }
    #expect(one.received(.receivedProof(secondProof)) == [.opened(peer: second, version: 1)])
    #expect(other.received(.receivedProof(firstProof)) == [.opened(peer: first, version: 1)])
  }

  @Test func anotherKeyIsRefused() {
    let wrong = [UInt8](repeating: 8, count: 32)
    var (one, other) = (handshake(.gateway, key, nonce: 1), handshake(.hub, wrong, nonce: 2))
    guard case .send(let first) = one.started(), case .send(let second) = other.started(),
      case .prove(let proof) = other.received(.receivedHello(first)).first
    else { return unexpected() }
    _ = one.received(.receivedHello(second))
    #expect(refusal(one.received(.receivedProof(proof))) == .notAuthenticated)
  }

  @Test func aRecordedProofIsWorthlessOnTheNextLink() {
    var (one, peer) = (handshake(.hub, key, nonce: 1), handshake(.gateway, key, nonce: 2))
    guard case .send(let hello) = one.started(), case .send(let recordedHello) = peer.started(),
      case .prove(let recordedProof) = peer.received(.receivedHello(hello)).first
    else { return unexpected() }
    // The same frames again, on a link whose nonce is new.
    var next = handshake(.hub, key, nonce: 3)
    _ = next.started()
    guard case .prove = next.received(.receivedHello(recordedHello)).first else { return unexpected() }
    #expect(refusal(next.received(.receivedProof(recordedProof))) == .notAuthenticated)
  }

  @Test func ourOwnHelloAndProofSentBackAreRefused() {
    var machine = handshake(.hub, key, nonce: 1, accepts: { _ in true })
    guard case .send(let hello) = machine.started() else { return unexpected() }
    #expect(refusal(machine.received(.receivedHello(hello))) == .notAuthenticated)
  }

  @Test func aProofMadeForAnotherRoleIsRefused() {
    var machine = handshake(.hub, key, nonce: 1)
    guard case .send(let hello) = machine.started() else { return unexpected() }
    var worker = Hello(.worker)
    worker.nonce = [UInt8](repeating: 9, count: 32)
    var asGateway = worker
    asGateway.role = .gateway
    _ = machine.received(.receivedHello(asGateway))
    let proof = LinkHandshake.proof(key, of: worker, to: hello)
    #expect(refusal(machine.received(.receivedProof(proof))) == .notAuthenticated)
  }

  @Test(arguments: [0, 1, 31, 33, 64])
  func aNonceOfAnotherLengthIsRefused(count: Int) {
    var machine = handshake(.hub, key, nonce: 1)
    _ = machine.started()
    var hello = Hello(.gateway)
    hello.nonce = [UInt8](repeating: 5, count: count)
    #expect(refusal(machine.received(.receivedHello(hello))) == .notAuthenticated)
  }

  @Test(arguments: [[], [0], [UInt8](repeating: 0, count: 31), [UInt8](repeating: 0, count: 33)])
  func aProofOfAnotherLengthIsRefused(mac: [UInt8]) {
    var machine = handshake(.hub, key, nonce: 1)
    _ = machine.started()
    var hello = Hello(.gateway)
    hello.nonce = [UInt8](repeating: 5, count: 32)
    _ = machine.received(.receivedHello(hello))
    #expect(refusal(machine.received(.receivedProof(mac))) == .notAuthenticated)
  }

  @Test func aRoleThatHasNoBusinessHereIsRefused() {
    var machine = handshake(.hub, accepts: { $0 == .gateway })
    _ = machine.started()
    #expect(refusal(machine.received(.receivedHello(Hello(.presence)))) == .roleForbidden)
  }

  @Test func noCommonVersionIsRefusedWithBothRanges() {
    var machine = handshake(.hub)
    _ = machine.started()
    var hello = Hello(.gateway)
    (hello.versionMin, hello.versionMax) = (40, 50)
    guard case .refuse(let code, let message) = machine.received(.receivedHello(hello)).first else {
      return unexpected()
    }
    #expect(code == .versionMismatch)
    #expect(message.contains("40") && message.contains("50") && message.contains("1"))
  }

  @Test func theHighestCommonVersionIsSpoken() {
    var machine = handshake(.hub)
    _ = machine.started()
    var hello = Hello(.gateway)
    (hello.versionMin, hello.versionMax) = (0, 99)
    #expect(machine.received(.receivedHello(hello)) == [.opened(peer: hello, version: 1)])
  }

  // MARK: what has no arrow

  @Test func nothingIsTakenBeforeTheStart() {
    var machine = handshake(.hub)
    #expect(refusal(machine.received(.receivedHello(Hello(.gateway)))) == .unexpectedKind)
  }

  @Test func aProofBeforeTheHelloIsRefused() {
    var machine = handshake(.hub, key, nonce: 1)
    _ = machine.started()
    #expect(refusal(machine.received(.receivedProof([1]))) == .unexpectedKind)
  }

  @Test func aProofWhereNoneIsWantedIsRefused() {
    var machine = handshake(.hub)
    _ = machine.started()
    #expect(refusal(machine.received(.receivedProof([1]))) == .unexpectedKind)
  }

  @Test func aSecondHelloInsteadOfTheProofIsRefused() {
    var machine = handshake(.hub, key, nonce: 1)
    _ = machine.started()
    var hello = Hello(.gateway)
    hello.nonce = [UInt8](repeating: 5, count: 32)
    _ = machine.received(.receivedHello(hello))
    #expect(refusal(machine.received(.receivedHello(hello))) == .unexpectedKind)
  }

  @Test func nothingIsTakenAfterTheEnd() {
    var opened = handshake(.hub)
    _ = opened.started()
    _ = opened.received(.receivedHello(Hello(.gateway)))
    #expect(refusal(opened.received(.receivedHello(Hello(.gateway)))) == .unexpectedKind)
    var refused = handshake(.hub, accepts: { _ in false })
    _ = refused.started()
    _ = refused.received(.receivedHello(Hello(.gateway)))
    #expect(refusal(refused.received(.receivedHello(Hello(.gateway)))) == .unexpectedKind)
  }
}

extension Hello {
  init(_ role: Role) { self.init(role: role, instance: 1, incarnation: 1) }
}

private func handshake(
  _ role: Role, _ key: [UInt8]? = nil, nonce: UInt8 = 0, accepts: @escaping (Role) -> Bool = { _ in true }
) -> LinkHandshake {
  LinkHandshake(
    local: Hello(role), key: key, nonce: [UInt8](repeating: nonce, count: 32), accepts: accepts)
}

private func refusal(_ actions: [LinkHandshake.Action]) -> ErrorCode? {
  guard actions.count == 1, case .refuse(let code, _) = actions[0] else { return nil }
  return code
}

private func unexpected(sourceLocation: SourceLocation = #_sourceLocation) {
  Issue.record("the machine did not act as expected", sourceLocation: sourceLocation)
}
