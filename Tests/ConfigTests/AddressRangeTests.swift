import Config
import Testing

@Suite struct AddressRangeTests {
  @Test(arguments: [
    ("0.0.0.0", "0.0.0.0"), ("192.0.2.7", "192.0.2.7"), ("255.255.255.255", "255.255.255.255"),
    ("::ffff:192.0.2.7", "192.0.2.7"), ("::ffff:c000:207", "192.0.2.7"), ("::", "::"), ("::1", "::1"),
    ("1::", "1::"), ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("fe80::1%eth0", "fe80::1"),
    ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("0:0:3:0:0:0:7:8", "0:0:3::7:8"),
    ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
  ])
  func anAddressIsOneNumberHoweverItIsWritten(text: String, written: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.description == written)
    #expect(IPAddress(written) == address)
  }

  @Test(arguments: [
    "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2.3.+4", "1.2.3.4 ", "0x1.2.3.4", "1.2.3.",
    ":", ":::", "1:2:3", "1:2:3:4:5:6:7:8:9", "1::2::3", "g::", "12345::", "::-0", "::+1", "1:2:3:4:5:6:7:8::",
    "[::1]", "::1]", "1.2.3.4:80", "::1.2.3", "1.2.3.4::", "localhost", "::١",
  ])
  func whatIsNoAddressIsRefused(text: String) { #expect(IPAddress(text) == nil) }

  @Test func nothingLongIsLookedAt() {
    #expect(IPAddress(String(repeating: ":", count: 1_000_000)) == nil)
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.1.2.3", "10.1.2.3", true),
    ("10.1.2.3", "10.1.2.4", false), ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "2001:db8::1", false),
    ("10.0.0.0/8", "::ffff:10.0.0.1", true), ("2001:db8::/32", "2001:db8:ffff::1", true),
    ("2001:db8::/32", "2001:db9::1", false), ("::/0", "10.0.0.1", true), ("::1", "::1", true),
    ("2001:db8:0:1::/64", "2001:db8:0:1:ffff::", true), ("2001:db8:0:1::/64", "2001:db8:0:2::", false),
    ("2001:db8::8/125", "2001:db8::f", true), ("2001:db8::8/125", "2001:db8::10", false),
  ])
  func aRangeHoldsWhatBeginsAlike(range: String, address: String, holds: Bool) throws {
    #expect(try #require(AddressRange(range)).contains(try #require(IPAddress(address))) == holds)
  }

  @Test(arguments: [
    "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "/8", "::1/64", "::/129", "10.0.0.0/8/8", "fe80::1%eth0",
    "10.0.0.0/+8", "example.org",
  ])
  func aRangeThatIsNoneIsRefused(text: String) { #expect(AddressRange(text) == nil) }
}
