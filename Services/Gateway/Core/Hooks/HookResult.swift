internal import Bytes
internal import Hooks
internal import Identity
internal import JSON

/// What the `result` of a back end's answer says. Pure.
///
/// A member that is missing or null says nothing; one that is something else than it has to be makes
/// the whole answer one that can't be used.
struct HookResult {
  private let object: JSONObject

  init(_ object: JSONObject) { self.object = object }

  private func member(_ name: String) -> JSONValue? {
    guard let value = object[name], !value.isNull else { return nil }
    return value
  }

  private static func wrong(_ name: String) -> HookFailure {
    .malformed(reason: "\(name) of the result is something else than it has to be")
  }

  /// `data`, where a JSON string is text, or the bytes of `b64data`.
  func payload() throws(HookFailure) -> Payload? {
    if let encoded = member("b64data"), encoded.string != "" {
      guard let bytes = encoded.string.flatMap({ bytes(base64: $0) }) else {
        throw Self.wrong("b64data")
      }
      return Payload(.binary, bytes)
    }
    guard let data = member("data") else { return nil }
    if let text = data.string { return Payload(.text, [UInt8](text.utf8)) }
    return Payload(.json, Self.json(data))
  }

  /// `info`, or the JSON in `b64info`: what others see of the client.
  func info() throws(HookFailure) -> [UInt8]? {
    if let encoded = member("b64info"), encoded.string != "" {
      guard let text = encoded.string.flatMap({ bytes(base64: $0) }),
        let value = try? JSONValue.parse(text.span)
      else { throw Self.wrong("b64info") }
      return Self.json(value)
    }
    return member("info").map(Self.json)
  }

  /// `expire_at` in seconds of Unix time; nil for never, which 0 says too.
  ///
  /// - Errors: a time that is over.
  func end(now: Int64) throws(HookFailure) -> Int64? {
    guard let value = member("expire_at") else { return nil }
    guard let end = value.int, end >= 0, end < 253_402_300_800, end == 0 || end > now else {
      throw Self.wrong("expire_at")
    }
    return end == 0 ? nil : end
  }

  func isOn(_ name: String) throws(HookFailure) -> Bool {
    guard let value = member(name) else { return false }
    guard let isOn = value.bool else { throw Self.wrong(name) }
    return isOn
  }

  /// Who a client is: `user`, `info`, `expire_at`, `channels`, `subs` by their names, `roles`, `caps`;
  /// nil for nobody, with nothing else said.
  func identity(now: Int64) throws(HookFailure) -> Identity? {
    let end = try end(now: now)
    var writer = JSONWriter(reserving: 256)
    writer.beginObject()
    // What a token says, without one: its own time doesn't count where `expire_at` is there.
    writer.field("exp", now + 3_600)
    writer.field("expire_at", end ?? 0)
    if let user = member("user") {
      writer.key("sub")
      writer.value(user)
    }
    if let info = try info() {
      writer.key("info")
      writer.raw(info)
    }
    for name in ["roles", "caps"] {
      guard let value = member(name) else { continue }
      writer.key(name)
      writer.value(value)
    }
    writer.key("channels")
    writer.value(.array(try channels()))
    writer.endObject()
    do throws(TokenError) {
      let identity = try Identity(trusted: writer.bytes, now: now)
      return identity == Identity() ? nil : identity
    } catch { throw Self.wrong("user, info, channels, subs, roles or caps") }
  }

  /// `subs`: what it has for the client in each of the channels that it is put into.
  func places() throws(HookFailure) -> [ChannelName: HookPlace] {
    guard let placed = member("subs") else { return [:] }
    guard let object = placed.object else { throw Self.wrong("subs") }
    var places: [ChannelName: HookPlace] = [:]
    for (name, value) in object.members.map({ ($0.key, $0.value) }) {
      // What is no channel's name is refused with the names.
      guard let name = ChannelName(name), !value.isNull else { continue }
      guard let options = value.object else { throw Self.wrong("subs") }
      places[name] = try HookResult(options).place()
    }
    return places
  }

  /// `info`, `data` and `override` of one channel.
  func place() throws(HookFailure) -> HookPlace {
    HookPlace(info: try info(), data: try payload(), override: try override())
  }

  /// `override`: each of its members is `{"value": true}`.
  private func override() throws(HookFailure) -> SubscriptionOverride {
    var override = SubscriptionOverride()
    guard let said = member("override") else { return override }
    guard let object = said.object else { throw Self.wrong("override") }
    func read(_ name: String) throws(HookFailure) -> Bool? {
      guard let value = object[name], !value.isNull else { return nil }
      guard let isOn = value["value"]?.bool else { throw Self.wrong("override.\(name)") }
      return isOn
    }
    override.isHidden = try read("presence") == false
    override.hearsMembers = try read("force_push_join_leave")
    override.forgetsPlace = try read("force_recovery") == false
    override.isUnpositioned = try read("force_positioning") == false
    _ = try read("join_leave")
    return override
  }

  /// `meta`: JSON that comes back with each later question about the client.
  func meta() throws(HookFailure) -> [UInt8]? {
    guard let meta = member("meta") else { return nil }
    guard meta.object != nil else { throw Self.wrong("meta") }
    return Self.json(meta)
  }

  private func channels() throws(HookFailure) -> [JSONValue] {
    var names: [JSONValue] = []
    if let listed = member("channels") {
      guard let array = listed.array else { throw Self.wrong("channels") }
      names = array
    }
    if let placed = member("subs") {
      guard let object = placed.object else { throw Self.wrong("subs") }
      names += object.members.map { .string($0.key) }
    }
    return names
  }

  private static func json(_ value: JSONValue) -> [UInt8] {
    var writer = JSONWriter(reserving: 64)
    writer.value(value)
    return writer.bytes
  }
}
