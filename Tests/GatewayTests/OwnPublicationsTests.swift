import Bytes
import Testing

@testable import GatewayCore

@Suite struct OwnPublicationsTests {
  private final class Someone {}

  @Test func eachIsSparedItsOwnUntilItHasEverything() {
    let (one, other) = (Someone(), Someone())
    var own = OwnPublications()
    own.note(Offset(3), by: ObjectIdentifier(one))
    own.note(Offset(3), by: ObjectIdentifier(one))
    #expect(own.contains(Offset(3), by: ObjectIdentifier(one)))
    #expect(!own.contains(Offset(4), by: ObjectIdentifier(one)))
    #expect(!own.contains(Offset(3), by: ObjectIdentifier(other)))
    own.forget(ObjectIdentifier(other))
    own.forget(ObjectIdentifier(one))
    #expect(own.isEmpty)
  }

  @Test func theirNumberHasABound() {
    let one = Someone()
    var own = OwnPublications()
    for offset in 1...UInt64(OwnPublications.countMax + 10) {
      own.note(Offset(offset), by: ObjectIdentifier(one))
    }
    #expect(own.contains(Offset(UInt64(OwnPublications.countMax)), by: ObjectIdentifier(one)))
    #expect(!own.contains(Offset(UInt64(OwnPublications.countMax) + 1), by: ObjectIdentifier(one)))
  }
}
