internal import Bytes
internal import JSON
internal import Loop

/// One subscriber inside this process.
public struct SubscriptionID: Hashable, Sendable {
  let number: UInt64
}

/// What a `SapphireClient` is on its own thread: one upstream subscription a channel, however many
/// subscribers of this process share it; and the HTTP API beside it. Loop-confined.
final class ClientCore {
  typealias Receiver = @Sendable (ClientEvent) -> Void

  private struct Subscriber {
    let id: SubscriptionID
    let channel: ChannelName
    let receive: Receiver
  }

  private let loop: EventLoop
  private var realtime: RealtimeClient?
  private let http: HTTPClient
  private var subscribers: [Subscriber] = []
  private var emitting: [EmitID: @Sendable (Result<Position?, EmitFailure>) -> Void] = [:]
  private let observe: Receiver

  init(_ options: ClientOptions, on loop: EventLoop, observe: @escaping Receiver) {
    self.loop = loop
    self.observe = observe
    http = HTTPClient(options.url, key: options.key, trust: options.trust, on: loop)
    let realtime = RealtimeClient(options, on: loop) { [weak self] in self?.received($0) }
    self.realtime = realtime
    realtime.open()
  }

  func subscribe(
    _ id: SubscriptionID, _ channel: ChannelName, since: Since?, receive: @escaping Receiver
  ) {
    subscribers.append(Subscriber(id: id, channel: channel, receive: receive))
    realtime?.subscribe(channel, since: since)
  }

  /// The last subscriber of a channel ends its upstream subscription.
  func unsubscribe(_ id: SubscriptionID) {
    guard let index = subscribers.firstIndex(where: { $0.id == id }) else { return }
    let channel = subscribers.remove(at: index).channel
    if !subscribers.contains(where: { $0.channel == channel }) { realtime?.unsubscribe(channel) }
  }

  func emit(
    _ channel: ChannelName, _ payload: Payload, key: String?,
    completion: @escaping @Sendable (Result<Position?, EmitFailure>) -> Void
  ) {
    do throws(EmitFailure) {
      guard let realtime else { throw .closed }
      emitting[try realtime.emit(channel, payload, key: key)] = completion
    } catch {
      completion(.failure(error))
    }
  }

  /// `GET /channels`: subscribers by channel.
  func counts(
    completion: @escaping @Sendable (Result<[ChannelName: Int], ServerAPI.Failure>) -> Void
  ) {
    http.send(ServerAPI.channels, within: .seconds(10)) { answer in
      completion(Self.counts(answer))
    }
  }

  private static func counts(
    _ answer: Result<HTTPResponse, HTTPFailure>
  ) -> Result<[ChannelName: Int], ServerAPI.Failure> {
    do throws(ServerAPI.Failure) {
      var counts: [ChannelName: Int] = [:]
      for member in try ServerAPI.body(answer)["channels"]?.object?.members ?? [] {
        if let name = ChannelName(member.key), let count = member.value.int {
          counts[name] = Int(clamping: count)
        }
      }
      return .success(counts)
    } catch {
      return .failure(error)
    }
  }

  /// Ends for good; the loop stops after what is said goodbye to.
  func close() {
    realtime?.close()
    http.close()
    loop.stop()
  }

  private func received(_ event: ClientEvent) {
    switch event {
    case .publication(let publication): tell(publication.channel, event)
    case .subscribed(let channel), .gap(let channel, _), .unrecoverable(let channel, _):
      tell(channel, event)
    case .presence(let channel?, _, _): tell(channel, event)
    case .subscriptionRefused(let channel, _):
      tell(channel, event)
      subscribers.removeAll { $0.channel == channel }
    case .emitted(let id, let position): emitting.removeValue(forKey: id)?(.success(position))
    case .emitFailed(let id, let failure): emitting.removeValue(forKey: id)?(.failure(failure))
    case .state, .refusal, .presence:
      observe(event)
      for subscriber in subscribers { subscriber.receive(event) }
    }
  }

  private func tell(_ channel: ChannelName, _ event: ClientEvent) {
    for subscriber in subscribers where subscriber.channel == channel { subscriber.receive(event) }
  }
}
