internal import HTTPCodec
internal import JSON
internal import Wire

/// What a publication says of its producer and of where it comes from. Pure.
extension APIParameters {
  /// Reads one member of a publish; false for any other.
  static func takeProducing(
    _ member: JSONMember, _ span: borrowing Span<UInt8>, _ found: inout Publish,
    _ problem: inout String?
  ) -> Bool {
    if member.isKey("producer", in: span) {
      do throws(Refusal) { found.producer = try producer(member, span) } catch {
        problem = error.message
      }
    } else if member.isKey("type", in: span) {
      take("type", member, span, &found.type, &problem)
      // Under it the store ties contents to channels; what announces one has it by itself.
      if found.type == ArtifactNotice.eventType { problem = "type can't be \(ArtifactNotice.eventType)" }
    } else if member.isKey("correlation_id", in: span) {
      take("correlation_id", member, span, &found.ids.correlation, &problem)
    } else if member.isKey("causation_id", in: span) {
      take("causation_id", member, span, &found.ids.causation, &problem)
    } else {
      return false
    }
    return true
  }

  /// A text of at most 255 bytes; empty where it is null.
  private static func take(
    _ name: String, _ member: JSONMember, _ span: borrowing Span<UInt8>, _ text: inout String,
    _ problem: inout String?
  ) {
    if member.kind == .null { return text = "" }
    guard let given = member.text(in: span), given.utf8.count <= EventIDs.bytesMax else {
      return problem = "\(name) must be a string of at most \(EventIDs.bytesMax) bytes"
    }
    text = given
  }

  private static func producer(
    _ member: JSONMember, _ span: borrowing Span<UInt8>
  ) throws(Refusal) -> ProducerMark? {
    if member.kind == .null { return nil }
    guard let value = try? JSONValue.parse(span.extracting(member.value)),
      let id = value["id"]?.string, (1...255).contains(id.utf8.count),
      let epoch = value["epoch"]?.int, epoch >= 0, let sequence = value["seq"]?.int, sequence >= 0
    else {
      throw .badRequest(
        "producer must be {id, epoch, seq}: a string of 1 to 255 bytes and two whole numbers, 0 or more")
    }
    return ProducerMark(id: id, epoch: UInt64(epoch), sequence: UInt64(sequence))
  }
}

extension Refusal {
  static let noProducersYet = Refusal(
    108, "not_available", "the event store is too old to count a producer's publications", .notFound)

  /// - Parameter failure: *fenced* or *sequenceGap* of the event store.
  static func producer(_ failure: Wire.Failure) -> Refusal {
    var refusal: Refusal
    if failure.code == .fenced {
      refusal = Refusal(
        165, "producer_fenced",
        "a later incarnation of this producer has published: its epoch is \(failure.number)", .forbidden)
      refusal.detail = Detail(name: "producer_epoch", value: failure.number)
    } else if failure.number == 0 {
      refusal = Refusal(
        167, "producer_begins_at_zero", "a producer's epoch begins with seq 0", .badRequest)
      refusal.detail = Detail(name: "expected_seq", value: 0)
    } else {
      refusal = Refusal(
        166, "producer_gap", "publications of this producer are missing: seq \(failure.number) is next",
        .conflict)
      refusal.detail = Detail(name: "expected_seq", value: failure.number)
    }
    return refusal
  }
}
