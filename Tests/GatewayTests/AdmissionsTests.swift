import Bytes
import ChannelKit
import Identity
import Testing
import Wire

@testable import GatewayCore

@Suite struct AdmissionsTests {
  private typealias Whom = IdentityOrder.Whom

  private func name(_ text: String) throws -> ChannelName { try #require(ChannelName(text)) }

  private func subscribe(
    _ user: String, _ channel: String, client: String? = nil, until: Int64? = nil
  ) throws -> IdentityOrder {
    .subscribe(
      Whom(user: user, client: client),
      IdentityOrder.Admission(channel: try name(channel), until: until))
  }

  private func isIn(
    _ admissions: Admissions, _ user: String, _ channel: String, client: UInt64 = 1, now: Int64
  ) throws -> Bool {
    let context = ClientContext(id: ClientID(number: client), user: UserID(user))
    let found = admissions.admission(
      to: try name(channel), of: Identity(user: user), context, now: now)
    return found != nil
  }

  @Test func theLastOrderAboutAClientDecides() throws {
    var admissions = Admissions()
    admissions.note(try subscribe("ada", "a"), at: 100, now: 100)
    #expect(try isIn(admissions, "ada", "a", now: 101))
    #expect(try !isIn(admissions, "bob", "a", now: 101))
    #expect(try !isIn(admissions, "ada", "b", now: 101))
    let away = ClientID(number: 7).text
    admissions.note(.unsubscribe(Whom(client: away), try name("a")), at: 102, now: 102)
    #expect(try isIn(admissions, "ada", "a", client: 1, now: 103))
    #expect(try !isIn(admissions, "ada", "a", client: 7, now: 103))
    admissions.note(.unsubscribe(Whom(user: "ada"), try name("a")), at: 104, now: 104)
    #expect(try !isIn(admissions, "ada", "a", now: 105))
    admissions.note(try subscribe("ada", "a"), at: 106, now: 106)
    #expect(try isIn(admissions, "ada", "a", now: 107))
  }

  @Test func whomABackEndHadGoComesBackToNothing() throws {
    let ends: [IdentityOrder] = [
      .disconnect(Whom(user: "ada")), .revoke(Revocation(.user("ada"), at: 2, until: 9_000)),
    ]
    for end in ends {
      var admissions = Admissions()
      admissions.note(try subscribe("ada", "a"), at: 1, now: 1)
      admissions.note(try subscribe("bob", "a"), at: 1, now: 1)
      admissions.note(.disconnect(Whom(user: "ada", isFence: true)), at: 1, now: 1)
      #expect(try isIn(admissions, "ada", "a", now: 3))
      admissions.note(end, at: 2, now: 2)
      #expect(try !isIn(admissions, "ada", "a", now: 3))
      #expect(try isIn(admissions, "bob", "a", now: 3))
      admissions.note(try subscribe("ada", "a"), at: 4, now: 4)
      #expect(try isIn(admissions, "ada", "a", now: 5))
    }
    var admissions = Admissions(farewellsMax: 10)
    admissions.note(try subscribe("ada", "a"), at: 1, now: 1)
    for number in 0...10 {
      #expect(admissions.count == 1)
      admissions.note(.disconnect(Whom(user: "u\(number)")), at: 1, now: 1)
    }
    #expect(admissions.count == 0)
  }

  @Test func anAdmissionEndsWithItsTimeAndWithItsLife() throws {
    var admissions = Admissions()
    admissions.note(try subscribe("ada", "a", until: 200), at: 100, now: 100)
    admissions.note(try subscribe("ada", "b"), at: 100, now: 100)
    #expect(try isIn(admissions, "ada", "a", now: 199))
    #expect(try !isIn(admissions, "ada", "a", now: 200))
    #expect(try isIn(admissions, "ada", "b", now: 99 + Admissions.life))
    #expect(try !isIn(admissions, "ada", "b", now: 100 + Admissions.life))
    admissions.forget(now: 200)
    #expect(admissions.count == 1)
    // As a gateway reads them that starts.
    var later = Admissions()
    later.note(try subscribe("ada", "a"), at: 100, now: 100 + Admissions.life)
    #expect(later.count == 0)
  }

  @Test func theSameOrderAgainTakesNoRoom() throws {
    var admissions = Admissions()
    for second in 0..<1_000 as Range<Int64> {
      admissions.note(try subscribe("ada", "a"), at: second, now: second)
      admissions.note(.unsubscribe(Whom(user: "ada"), try name("a")), at: second, now: second)
    }
    #expect(admissions.count == 1)
    admissions.note(.unsubscribe(Whom(user: "ada"), try name("never")), at: 1_000, now: 1_000)
    #expect(admissions.count == 1)
  }

  /// Without room nobody is let in, and whoever is put out stays out.
  @Test func beyondItsBoundNobodyComesBackAndNobodyStaysIn() throws {
    var admissions = Admissions(countMax: 200)
    for number in 0...200 {
      admissions.note(try subscribe("u\(number)", "c\(number % 100)"), at: 1, now: 1)
    }
    #expect(admissions.count == 200)
    #expect(try !isIn(admissions, "u200", "c0", now: 2))
    #expect(try isIn(admissions, "u5", "c5", now: 2))
    admissions.note(.unsubscribe(Whom(client: "0000000000000001"), try name("c5")), at: 2, now: 2)
    #expect(try !isIn(admissions, "u5", "c5", now: 3))
    admissions.forget(now: Admissions.life + 1)
    #expect(admissions.count == 0)
  }
}

@Suite struct ShownInfoTests {
  private func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

  @Test(arguments: [
    ("", ""), ("{\"a\":1}", ""), ("", "[2]"), ("{\"conn\":1,\"chan\":2}", "\" {\""),
    ("null", "{\"conn\":{}}"),
  ])
  func whatPresenceKeepsSaysBoth(connection: String, channel: String) {
    let info = ShownInfo(connection: bytes(connection), channel: bytes(channel))
    #expect(ShownInfo(stored: info.stored) == info)
    #expect(info.shown == bytes(channel.isEmpty ? connection : channel))
  }

  @Test func whatIsNoneOfOursIsShownAsItIsOrNotAtAll() {
    #expect(ShownInfo(stored: bytes("{\"chan\":1}")).connection == bytes("{\"chan\":1}"))
    #expect(ShownInfo(stored: bytes(" {\"chan\":")) == ShownInfo(connection: []))
  }
}

@Suite struct FenceTests {
  private let one = Epoch(random: (1, 2))
  private let other = Epoch(random: (3, 4))

  private func session(_ arrival: RecoverableSession.Arrival) -> RecoverableSession {
    let session = RecoverableSession(RecoveryPID(of: nil))
    session.arrival = arrival
    return session
  }

  @Test func onlyAnOrderThatStandsBehindItsArrivalPutsAClientOut() {
    let place = Position(epoch: one, offset: Offset(7))
    let came = session(.after(place))
    #expect(!came.isFenced(by: place) && !came.isFenced(by: nil))
    #expect(!came.isFenced(by: Position(epoch: one, offset: Offset(6))))
    #expect(came.isFenced(by: Position(epoch: one, offset: Offset(8))))
    #expect(came.isFenced(by: Position(epoch: other, offset: Offset(1))))
    #expect(session(.first).isFenced(by: place))
    #expect(session(.after(nil)).isFenced(by: place))
    #expect(!session(.unknown).isFenced(by: place))
  }

  @Test func anOrderKeepsItsMeaningThroughTheStore() throws {
    let whom = IdentityOrder.Whom(client: "00000000000000ff", before: 12, isFence: true)
    let order = IdentityOrder.disconnect(whom)
    let read = try #require(IdentityOrder(json: order.json(origin: "x")))
    #expect(read == order && read.isFence)
    // Its time is for older gateways: here it is not looked at.
    let context = ClientContext(id: ClientID(number: 255))
    #expect(whom.includes(nil, context, since: 99))
    let place = Position(epoch: one, offset: Offset(3))
    guard case .disconnect(let placed, _) = read.placed(at: place) else {
      Issue.record("another order")
      return
    }
    #expect(placed.place == place)
    let plain = IdentityOrder.disconnect(IdentityOrder.Whom(client: "00000000000000ff", before: 12))
    #expect(plain.placed(at: place) == plain && !plain.isFence)
    var admission = IdentityOrder.Admission(channel: try #require(ChannelName("a")))
    (admission.info, admission.data) = ([UInt8]("1".utf8), [UInt8]("[2]".utf8))
    let subscribe = IdentityOrder.subscribe(IdentityOrder.Whom(user: "ada"), admission)
    #expect(IdentityOrder(json: subscribe.json(origin: "x")) == subscribe)
  }
}
