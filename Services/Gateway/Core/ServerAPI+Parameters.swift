internal import Bytes
internal import HTTPCodec
internal import JSON

/// Parameters of the API's methods, as they stand in JSON. Pure.
enum APIParameters {
  struct Publish: Equatable {
    var channels: [String] = []
    var payload: Payload?
    var key = ""
    var skipHistory = false
    /// Not published where nobody subscribes (S003-19).
    var onlyIfSubscribed = false
    var expected: Offset?
  }

  /// Reads a publish or broadcast. Fields of Centrifugo that have no meaning here are passed over.
  static func publish(_ span: borrowing Span<UInt8>) throws(Refusal) -> Publish {
    var found = Publish()
    var problem: String?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) {
        take(member, span, &found, &problem)
      }
    } catch {
      throw Refusal(107, "bad_request", "the body is no JSON object: \(error)", .badRequest)
    }
    if let problem { throw .badRequest(problem) }
    return found
  }

  private static func take(
    _ member: JSONMember, _ span: borrowing Span<UInt8>, _ found: inout Publish,
    _ problem: inout String?
  ) {
    if member.isKey("channel", in: span) {
      if let text = member.text(in: span) { found.channels = [text] } else {
        problem = "channel must be a string"
      }
    } else if member.isKey("data", in: span) {
      found.payload = PayloadJSON.payload(data: member, in: span)
    } else if member.isKey("b64data", in: span) {
      do throws(PayloadJSON.Refusal) {
        found.payload = try PayloadJSON.payload(b64data: member, in: span)
      } catch { problem = "b64data must be a string of base64" }
    } else if member.isKey("idempotency_key", in: span) {
      if let text = member.text(in: span), text.utf8.count <= 255 { found.key = text } else {
        problem = "idempotency_key must be a string of at most 255 bytes"
      }
    } else if member.isKey("skip_history", in: span) {
      found.skipHistory = member.bool(in: span) ?? false
    } else if member.isKey("only_if_subscribed", in: span) {
      found.onlyIfSubscribed = member.bool(in: span) ?? false
    } else if member.isKey("expected_offset", in: span) {
      if let number = member.int(in: span), number >= 0 {
        found.expected = Offset(UInt64(number))
      } else {
        problem = "expected_offset must be a whole number"
      }
    } else if member.isKey("channels", in: span) {
      guard let list = try? JSONValue.parse(span.extracting(member.value)).array else {
        problem = "channels must be a list of strings"
        return
      }
      found.channels = list.compactMap(\.string)
      if found.channels.count != list.count { problem = "channels must be a list of strings" }
    }
  }

  struct History {
    var channel: String
    var limit: UInt32
    var since: Position?
    var isReverse: Bool
  }

  /// - Parameter most: publications in one answer at most; a negative limit asks for all of them.
  static func history(_ value: JSONValue, most: Int) throws(Refusal) -> History {
    guard let channel = value["channel"]?.string else { throw .badRequest("channel is missing") }
    var since: Position?
    if let object = value["since"], !object.isNull {
      guard let offset = object["offset"]?.int, offset >= 0,
        let epoch = object["epoch"]?.string.flatMap({ Epoch($0) })
      else { throw .badRequest("since must be {offset, epoch}") }
      since = Position(epoch: epoch, offset: Offset(UInt64(offset)))
    }
    let limit = value["limit"]?.int ?? 0
    return History(
      channel: channel, limit: UInt32(clamping: limit < 0 ? Int64(most) : min(limit, Int64(most))),
      since: since, isReverse: value["reverse"]?.bool ?? false)
  }
}
