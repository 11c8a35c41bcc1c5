internal import Bytes
internal import ChannelKit
internal import Loop
internal import Observe
internal import Wire

/// What plugins do to a client: payloads for it alone, presence, timers, the end.
extension ClientSession: EffectTarget {
  struct TimerKey: Hashable {
    var channel: ChannelName
    var token: TimerToken
  }

  func carryOut(_ effects: [Effect], in channel: LocalChannel) {
    for effect in effects {
      switch effect {
      case .send(let payload): send(payload, channel)
      case .track(let info): track(channel, info)
      case .untrack: if let subscription = subscription(of: channel) { leave(subscription, .left) }
      case .after(let delay, let token): setTimer(token, delay, channel)
      case .close(let reason): end(channel, Refusal(reason))
      case .publish, .reply: break
      }
    }
  }

  /// Ends one subscription; a session of one channel goes with it.
  func end(_ channel: LocalChannel, _ refusal: Refusal) {
    tell(.error(id: nil, refusal, channel: channel.name.text))
    unsubscribe(channel.name)
    if case .oneChannel = door.style { carrier?.end(.refused(refusal)) }
  }

  private func setTimer(_ token: TimerToken, _ delay: Duration, _ channel: LocalChannel) {
    let key = TimerKey(channel: channel.name, token: token)
    if let before = timers.removeValue(forKey: key) { gateway.loop.cancel(before) }
    guard timers.count(where: { $0.key.channel == channel.name }) < Effects.timersMax else { return }
    timers[key] = gateway.loop.after(delay) { [self] in
      timers[key] = nil
      due(token, channel)
    }
  }

  private func due(_ token: TimerToken, _ channel: LocalChannel) {
    guard !isOver, let plugin = channel.plugin else { return }
    do throws(ChannelError) {
      let effects = try plugin.due(token, for: context)
      gateway.publishing.carryOut(
        effects, in: channel, for: context, clientNumber: clientNumber, target: self)
    } catch {
      gateway.logger.debug("a plugin's timer failed", ["reason": .text(error.description)])
    }
  }

  func cancelTimers(_ channel: ChannelName? = nil) {
    for (key, timer) in timers where channel == nil || key.channel == channel {
      gateway.loop.cancel(timer)
      timers[key] = nil
    }
  }

  /// The plugin may publish that the client has left.
  func tellPlugin(_ channel: LocalChannel) {
    guard let plugin = channel.plugin else { return }
    do throws(ChannelError) {
      let effects = try plugin.left(context)
      guard !effects.isEmpty else { return }
      gateway.publishing.carryOut(
        effects, in: channel, for: context, clientNumber: clientNumber, target: nil)
    } catch {
      gateway.logger.debug("a plugin refused a leave", ["reason": .text(error.description)])
    }
  }
}
