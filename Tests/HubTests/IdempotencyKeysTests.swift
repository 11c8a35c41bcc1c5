import Bytes
import Testing

@testable import HubCore

struct IdempotencyKeysTests {
  private let minute: Int64 = 60_000

  @Test func aKeyIsNewOnceThenTheSameThenNewAgainAfterFiveMinutes() {
    var keys = IdempotencyKeys()
    let payload = Payload(text: "x")
    #expect(keys.find("k", in: channel("a"), payload: payload, nowMs: 0) == .new)
    keys.remember("k", in: channel("a"), payload: payload, at: position("e", 7), nowMs: 0)
    #expect(
      keys.find("k", in: channel("a"), payload: payload, nowMs: 5 * minute - 1)
        == .same(position("e", 7)))
    #expect(keys.find("k", in: channel("a"), payload: payload, nowMs: 5 * minute) == .new)
  }

  @Test func anotherPayloadUnderTheKeyIsAConflict() {
    var keys = IdempotencyKeys()
    keys.remember("k", in: channel("a"), payload: Payload(text: "x"), at: nil, nowMs: 0)
    #expect(keys.find("k", in: channel("a"), payload: Payload(text: "y"), nowMs: 1) == .conflict)
    // The same bytes as another kind are another payload.
    #expect(
      keys.find("k", in: channel("a"), payload: Payload(.json, [UInt8]("x".utf8)), nowMs: 1)
        == .conflict)
  }

  @Test func keysAreScopedToTheirChannel() {
    var keys = IdempotencyKeys()
    keys.remember("k", in: channel("a"), payload: Payload(text: "x"), at: nil, nowMs: 0)
    #expect(keys.find("k", in: channel("b"), payload: Payload(text: "y"), nowMs: 1) == .new)
  }

  @Test func keysAreBytesNotCharacters() {
    var keys = IdempotencyKeys()
    let payload = Payload(text: "x")
    keys.remember("caf\u{e9}", in: channel("a"), payload: payload, at: nil, nowMs: 0)
    #expect(keys.find("cafe\u{301}", in: channel("a"), payload: payload, nowMs: 1) == .new)
    #expect(keys.find("caf\u{e9}", in: channel("a"), payload: payload, nowMs: 1) == .same(nil))
  }

  @Test func aKeyUsedAgainAfterItsTimeLivesItsFullTimeAnew() {
    var keys = IdempotencyKeys()
    let payload = Payload(text: "x")
    keys.remember("k", in: channel("a"), payload: payload, at: nil, nowMs: 0)
    keys.remember("k", in: channel("a"), payload: payload, at: position("e", 2), nowMs: 5 * minute)
    // The first entry's end must not take the second with it.
    keys.expire(nowMs: 6 * minute)
    #expect(
      keys.find("k", in: channel("a"), payload: payload, nowMs: 6 * minute)
        == .same(position("e", 2)))
    keys.expire(nowMs: 10 * minute)
    #expect(keys.find("k", in: channel("a"), payload: payload, nowMs: 10 * minute) == .new)
  }

  @Test func theOldestKeyIsForgottenAtTheBound() {
    var keys = IdempotencyKeys()
    let payload = Payload(text: "x")
    for number in 0...IdempotencyKeys.countMax {
      keys.remember("k\(number)", in: channel("a"), payload: payload, at: nil, nowMs: 0)
    }
    #expect(keys.find("k0", in: channel("a"), payload: payload, nowMs: 1) == .new)
    #expect(keys.find("k1", in: channel("a"), payload: payload, nowMs: 1) == .same(nil))
  }
}
