@testable import GatewayCore
import Testing

@Suite struct SessionTokenTests {
  @Test func aTokenIsReadAsItWasWritten() {
    let token = SessionToken()
    #expect(token.text.utf8.count == 22)
    #expect(SessionToken(token.text) == token)
  }

  @Test func twoTokensDiffer() { #expect(SessionToken() != SessionToken()) }

  @Test(arguments: [
    "", "short", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAA+A",
    "AAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAA A",
  ])
  func anythingElseIsNoToken(text: String) { #expect(SessionToken(text) == nil) }

  @Test func thePublicNameIsTheSameEverywhereAndDoesNotHoldTheToken() throws {
    let token = try #require(SessionToken("AAECAwQFBgcICQoLDA0ODw"))
    // The first 11 bytes of SHA-256 over the bytes 00 to 0f.
    #expect(token.publicName == "vkXLJgW_Nr695oQ")
    #expect(SessionToken(token.publicName) == nil)
  }
}
