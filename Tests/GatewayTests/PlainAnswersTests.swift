import Bytes
import HTTPCodec
import ChannelKit
import Testing

@testable import GatewayCore

struct PlainAnswersTests {
  /// The same answer by way of `Response`.
  private func whole(_ id: RequestID, _ body: [UInt8], _ second: Int, _ strict: String?) -> [UInt8] {
    var response = Response(.ok, "application/json", body)
    response.fields.append(("Vary", "Origin"))
    if let strict { response.fields.append(("Strict-Transport-Security", strict)) }
    response.fields.append((RequestID.field, id.description))
    return response.bytes(date: HTTPDate.text(secondsSince1970: second), closes: false, isHead: false)
  }

  private func answer(
    _ answers: PlainAnswers, _ id: RequestID, _ body: [UInt8], second: Int, strict: String?
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    answers.appendHead(id, length: body.count, second: second, strict: strict, to: &bytes)
    return bytes + body
  }

  @Test func areThoseOfResponsesToTheByte() {
    for strict in [nil, "max-age=31536000"] {
      let answers = PlainAnswers()
      for number in UInt64(0)..<50 {
        let second = 1_795_299_188 + Int(number / 7)
        let body = [UInt8](repeating: UInt8(ascii: "x"), count: Int(number * number))
        let id = RequestID(number: number)
        #expect(
          answer(answers, id, body, second: second, strict: strict) == whole(id, body, second, strict))
      }
    }
  }

  @Test func takeOverTheRequestsOwnID() throws {
    let headers = try requestHead("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine-7\r\n\r\n").headers
    let id = try #require(RequestID(headers))
    #expect(answer(PlainAnswers(), id, [], second: 7, strict: nil) == whole(id, [], 7, nil))
  }

  @Test(arguments: [0, 9, 10, 99, 100, 1_234_567_890_123, UInt64.max])
  func aPublicationsAnswerIsOneJSONHoweverItIsMade(offset: UInt64) throws {
    for epoch in ["e", "abcDEF-_0", String(repeating: "z", count: 32)] {
      let position = try Position(epoch: #require(Epoch(epoch)), offset: Offset(offset))
      var bytes: [UInt8] = []
      PlainPosition.append(position, to: &bytes)
      #expect(bytes == ServerAPI.answer(PublishResult(position: position)))
      #expect(bytes.count == PlainPosition.length(position))
      #expect(
        String(decoding: bytes, as: UTF8.self)
          == #"{"result":{"epoch":"\#(epoch)","offset":\#(offset)}}"#)
    }
  }

  @Test func whatIsMoreThanAPositionIsNotAnsweredAsOne() throws {
    let position = try Position(epoch: #require(Epoch("e")), offset: Offset(1))
    #expect(PublishResult(position: position).plainPosition == position)
    let others = [
      PublishResult(), PublishResult(isSkipped: true),
      PublishResult(position: position, isDuplicate: true),
      PublishResult(position: position, reply: Payload(text: "r")),
    ]
    for other in others { #expect(other.plainPosition == nil) }
  }
}
