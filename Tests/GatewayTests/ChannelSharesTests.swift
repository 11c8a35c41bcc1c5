import Testing

@testable import GatewayCore

/// How many channels each address has brought into being.
@Suite struct ChannelSharesTests {
  @Test func sharesAreCountedByAddress() {
    var shares = ChannelShares()
    let (one, other) = (AddressKey.ipv4(1), AddressKey.ipv4(2))
    shares.enter(one)
    shares.enter(one)
    shares.leave(other)
    #expect(shares.count(of: one) == 2 && shares.count(of: other) == 0)
    shares.leave(one)
    shares.leave(one)
    shares.leave(one)
    #expect(shares.count(of: one) == 0)
  }
}
