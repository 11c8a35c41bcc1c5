import Bytes
import Testing

@testable import Wire

struct OutlinedPageTests {
  private let event = StoredEvent(
    offset: Offset(7), timeMs: 5, publisher: Publisher(client: 9, user: "é"), eventType: "t",
    meta: [1, 2], payload: Payload(json: "{}"))

  private func body(_ page: EventPage) -> [UInt8] {
    var writer = ByteWriter()
    page.encode(into: &writer)
    return writer.bytes
  }

  @Test func showsWhatThePageHolds() throws {
    var other = event
    other.offset = Offset(8)
    other.publisher.user = ""
    let page = EventPage(
      epoch: Epoch("e"), floor: Offset(6), head: Offset(9), hasMore: true, events: [event, other])
    let bytes = body(page)
    let outline = try OutlinedPage(body: bytes.span)
    #expect(outline.epoch == page.epoch && outline.floor == page.floor && outline.head == page.head)
    #expect(outline.hasMore)
    #expect(try outline.events.map { try StoredEvent($0, in: bytes.span) } == page.events)
  }

  /// Cut anywhere, or with any byte changed, it is refused where the page is.
  @Test func refusesWhatThePageRefuses() {
    let whole = body(EventPage(epoch: Epoch("e"), floor: Offset(6), head: Offset(9), hasMore: false, events: [event]))
    func agree(_ bytes: [UInt8]) -> Bool {
      var cursor = ByteCursor(bytes.span)
      let page = try? EventPage(&cursor, bytes.span)
      let outline = try? OutlinedPage(body: bytes.span)
      return (page == nil) == (outline == nil)
    }
    for end in 0...whole.count { #expect(agree([UInt8](whole[..<end])), "cut at \(end)") }
    for at in whole.indices {
      for value in [UInt8(0), 1, 0x7f, 0x80, 0xff] {
        var changed = whole
        changed[at] = value
        #expect(agree(changed), "byte \(at) is \(value)")
      }
    }
  }
}
