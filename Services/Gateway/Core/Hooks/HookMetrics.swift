internal import Config
internal import Hooks
internal import Observe

/// What became of a question to a back end.
enum HookOutcome: String, CaseIterable, MetricLabel {
  case allowed, refused, disconnected, unreachable, unanswered, malformed, overloaded

  static let labelName = "outcome"

  init(_ answer: HookAnswer) {
    switch answer {
    case .result: self = .allowed
    case .error: self = .refused
    case .disconnect: self = .disconnected
    }
  }

  init(_ failure: HookFailure) {
    switch failure {
    case .unreachable, .unwanted: self = .unreachable
    case .unanswered: self = .unanswered
    case .status, .malformed: self = .malformed
    case .queueFull: self = .overloaded
    }
  }
}

/// A hook that gateways ask.
enum AskedHook: String, CaseIterable, MetricLabel {
  case connect, refresh, subscribe, publish, rpc
  case subRefresh = "sub_refresh"

  static let labelName = "hook"

  var name: HookName {
    switch self {
    case .connect: .connect
    case .refresh: .refresh
    case .subscribe: .subscribe
    case .subRefresh: .subRefresh
    case .publish: .publish
    case .rpc: .rpc
    }
  }
}

/// What back ends were asked, over all loops.
struct HookMetrics: Sendable {
  let outcomes: CounterFamily<HookOutcome>
  let seconds: HistogramFamily<AskedHook>
  let underWay: Gauge
  let heldMessages: Counter

  init(_ metrics: Metrics) {
    outcomes = metrics.counters(
      "sapphire_gateway_hook_answers_total", "Questions to back ends by what became of them.",
      by: HookOutcome.self)
    seconds = metrics.histograms(
      "sapphire_gateway_hook_seconds",
      "From a question to a back end until it was answered or given up.", .seconds,
      by: AskedHook.self)
    underWay = metrics.gauge(
      "sapphire_gateway_hooks", "Questions to back ends that wait or are under way.")
    heldMessages = metrics.counter(
      "sapphire_gateway_hook_held_total",
      "Messages of clients that waited for an answer to one before them.")
  }
}
