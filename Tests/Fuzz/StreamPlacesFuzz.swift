import Bytes

/// What holds a place's type; of the gateway's subscriptions this target needs no more.
enum Subscription {}

private let names = ["log:a", "log:b", "universal-frequency", "dialog#alice,bob", "a=b"].compactMap { ChannelName($0) }

/// Ids of event streams and position vectors, as clients bring them back, and as a stream writes them
/// while it goes on (ADR 23).
func fuzzStreamPlaces(_ input: [UInt8]) {
  brought(String(decoding: input, as: UTF8.self))
  brought("~" + base64URL(Array(input.prefix(input.count / 3 * 3))))
  brought(base64URL(input))
  goOn(Array(input.prefix(128)))
}

/// Whatever is understood is understood the same again in its own writing.
private func brought(_ text: String) {
  if let places = StreamPlaces.decode(text, names) {
    require(StreamPlaces.isShort(text), "a short id without its mark")
    let again = StreamPlaces(names.compactMap { name in places[name].map { (name, $0) } })
    let read = Subscription.Since.of(again.idText, names)
    require(read == places, "an id that reads \(places) is written as one that reads \(String(describing: read))")
  }
  if let places = PositionVector.decode(text) {
    let list = places.map { ($0.key, $0.value) }
    require(
      PositionVector.decode(PositionVector.encode(list)) == places || list.isEmpty,
      "a vector is another once written: \(places)")
    for (name, place) in list {
      require(Subscription.Since(place.text) == place, "a place is another once written: \(place)")
      require(ChannelName(name.text) == name, "a name that is none")
    }
  }
  for count in [1, names.count] {
    let asked = Array(names.prefix(count))
    guard let places = Subscription.Since.of(text, asked), !StreamPlaces.isShort(text) else { continue }
    require(places.values.allSatisfy { $0 != .now }, "a place that is none")
  }
}

/// The input is a list of moves: a byte that says what and where, up to eight that say the offset.
private func goOn(_ input: [UInt8]) {
  var places = StreamPlaces(names.map { ($0, .now) })
  var model = [Subscription.Since](repeating: .now, count: names.count)
  var offset = 0
  while offset < input.count {
    let (move, at) = (input[offset], Int(input[offset] >> 3) % names.count)
    let digits = input[(offset + 1)...].prefix(Int(move & 7) + 1)
    offset += 1 + digits.count
    let value = digits.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard let place = place(move, value) else { continue }
    model[at] = place
    if case .position(let position) = place, move & 0x80 == 0 {
      places.stand(at: position, in: names[at])
    } else {
      places.stand(at: place, in: names[at])
    }
    check(places, model)
  }
}

private func place(_ move: UInt8, _ value: UInt64) -> Subscription.Since? {
  switch move & 7 {
  case 0 where value == 0: .now
  case 0 where value == 1: .start
  case 0 where value == 2: .empty
  case 1 where value & 1 == 1: .abbreviated(EpochTag(bits: value), Offset(value >> 1))
  default:
    Epoch(value & 1 == 0 ? "8xR1nVtqRZ2u0p3c6hYwVg" : "other").map {
      .position(Position(epoch: $0, offset: Offset(value)))
    }
  }
}

/// What is written over is what would be written anew, and says of each channel where its client is.
private func check(_ places: StreamPlaces, _ model: [Subscription.Since]) {
  let standing = Array(zip(names, model))
  require(places.id == StreamPlaces(standing).id, "written over it is another than written anew: \(standing)")
  require(places.id.count <= StreamPlaces.bytesMax(names), "an id longer than they are")
  require(places.byNames == PositionVector.encode(standing), "by names it is another")
  var expected: [ChannelName: Subscription.Since] = [:]
  for (name, place) in standing {
    switch place {
    case .now: continue
    case .position(let position):
      expected[name] = .abbreviated(EpochTag(position.epoch), position.offset)
    default: expected[name] = place
    }
  }
  guard let text = places.idText else { return require(expected.isEmpty, "places without an id") }
  require(StreamPlaces.decode(text, names) == expected, "an id says else than \(standing)")
  require(StreamPlaces.decode(text, names.reversed()) == expected, "the order of the channels matters")
  require(!text.utf8.contains { $0 < 33 || $0 > 126 }, "an id that is no field's text")
}
