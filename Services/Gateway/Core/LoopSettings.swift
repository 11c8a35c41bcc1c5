internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Platform

/// Everything a loop needs to know, the same for all loops.
struct LoopSettings: Sendable {
  var upstreams: Upstreams.Addresses
  var registry: ChannelRegistry
  var rules: @Sendable (ChannelName) -> ChannelPolicy
  var access: AccessRules
  var isEchoOn: Bool
  var startedAt: Instant
  /// The metrics of the whole process, in Prometheus' text format.
  var renderMetrics: @Sendable () -> String
  var connectionsMax = 1_000_000
  var channelsMax = 1_000_000
  var channelsPerConnectionMax = 128
  /// One publication's payload.
  var payloadBytesMax = 1024 * 1024
  var echoBytesMax = 16 * 1024 * 1024
  /// One API request's body.
  var bodyBytesMax = 8 * 1024 * 1024
  /// What may wait for one client.
  var queueBytesMax = 1024 * 1024
  var artifactBytesMax = 1024 * 1024 * 1024
  var publishMax = Duration.seconds(5)
  var headMax = Duration.seconds(5)
  var bodyMax = Duration.seconds(30)
  var idleMax = Duration.seconds(75)
  var pingEvery = Duration.seconds(25)
  var pongMax = Duration.seconds(10)

  mutating func adopt(_ limits: Limits) {
    connectionsMax = limits.connections
    channelsPerConnectionMax = limits.channelsPerConnection
    payloadBytesMax = limits.publicationBytes
    echoBytesMax = limits.echoMessageBytes
    bodyBytesMax = limits.httpBodyBytes
    queueBytesMax = limits.clientQueueBytes
    artifactBytesMax = limits.vaultFileBytes
    publishMax = limits.requestTimeout
    headMax = limits.httpHeadTimeout
    bodyMax = limits.httpBodyTimeout
    idleMax = limits.httpIdleTimeout
    pingEvery = limits.pingInterval
    pongMax = limits.pongTimeout
  }

  func policy(_ name: ChannelName) -> ChannelPolicy { rules(name) }
}
