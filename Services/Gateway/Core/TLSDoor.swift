internal import Config
internal import Observe
internal import Platform
internal import Synchronization
internal import TLS
internal import TLSStream

/// The certificate that newcomers get, over all loops, and how it is replaced.
///
/// A reload makes a new context: those who are connected keep theirs, and a file that can't be used
/// changes nothing. With the context the keys of its tickets change too. Any thread.
final class TLSDoor: Sendable {
  private struct State {
    var context: TLSContext
    var validUntil: Int64
  }

  private let state: Mutex<State>
  private let files: CertificateFiles
  private let settings: TLSSettings
  private let logger: Logger

  /// How often the files are read without being asked for, so that no ticket's key lives longer.
  static let renewEvery = Duration.seconds(12 * 3_600)
  /// With less time left than this, each start and reload warns.
  static let warnSeconds: Int64 = 14 * 86_400

  /// - Errors: `Refused` of the files at this moment.
  init(_ files: CertificateFiles, _ settings: TLSSettings, _ logger: Logger)
    throws(CertificateFiles.Refused)
  {
    self.files = files
    self.settings = settings
    self.logger = logger
    state = Mutex(try Self.load(files, settings))
    tellValidity()
  }

  /// What the next connection is made from.
  var context: TLSContext { state.withLock { $0.context } }

  /// When the certificate expires, in seconds since 1970.
  var validUntil: Int64 { state.withLock { $0.validUntil } }

  private static func load(_ files: CertificateFiles, _ settings: TLSSettings)
    throws(CertificateFiles.Refused) -> State
  {
    let loaded = try files.load(at: SystemClock.wallMilliseconds() / 1_000)
    do throws(TLSError) {
      let context = try TLSContext(
        server: loaded.certificate, resumption: settings.resumption ? .tickets : .off,
        oldest: settings.minimum == .tls13 ? .tls13 : .tls12, plainAnswer: plainAnswer)
      return State(context: context, validUntil: loaded.validUntil)
    } catch { throw CertificateFiles.Refused(files, error) }
  }

  /// Reads the files again.
  func reload() {
    do throws(CertificateFiles.Refused) {
      let loaded = try Self.load(files, settings)
      state.withLock { $0 = loaded }
      logger.info("the certificate was read again; newcomers get it")
      tellValidity()
    } catch {
      logger.error(
        "the certificate can't be used; the old one stays", ["reason": .text(error.description)])
    }
  }

  private func tellValidity() {
    let left = validUntil - SystemClock.wallMilliseconds() / 1_000
    guard left < Self.warnSeconds else { return }
    logger.warning("the certificate expires soon", ["days": .int(left / 86_400)])
  }

  /// For who speaks HTTP where TLS is spoken, as it goes over the wire.
  static let plainAnswer: [UInt8] = {
    let refusal = Refusal.badRequest(
      "this port speaks TLS: write https:// or wss:// in place of http:// or ws://")
    let body = Response.error(refusal).body
    let head =
      "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
      + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    return [UInt8](head.utf8) + body
  }()

  /// For who can't even be let in: `internal_error` without a handshake (RFC 8446 §6).
  static let alert: [UInt8] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50]
}

/// Why a TLS connection was not made or did not last, as a label.
enum TLSFailureReason: String, MetricLabel {
  static let labelName = "reason"
  case plainHTTP = "plain_http"
  case nothingInCommon = "nothing_in_common"
  case alert
  case violation
  case tooLong = "too_long"
  case tooManyMessages = "too_many_messages"
  /// The peer went before the handshake was over.
  case left
  case timeout

  init(_ error: TLSError) {
    self =
      switch error.kind {
      case .plainHTTP: .plainHTTP
      case .nothingInCommon: .nothingInCommon
      case .alert: .alert
      case .handshakeTooLong: .tooLong
      case .tooManyMessages: .tooManyMessages
      case .truncated: .left
      case .violation, .unusable, .certificate, .untrusted: .violation
      }
  }
}

/// What the gateway counts of TLS, over all its loops.
struct TLSMetrics: Sendable {
  let handshakes: Counter
  let resumed: Counter
  let failures: CounterFamily<TLSFailureReason>

  init(_ metrics: Metrics) {
    handshakes = metrics.counter(
      "sapphire_tls_handshakes_total", "TLS handshakes completed.")
    resumed = metrics.counter(
      "sapphire_tls_resumed_total", "TLS handshakes that a ticket made short.")
    failures = metrics.counters(
      "sapphire_tls_failures_total", "TLS connections that were not made or broke, by the reason.",
      by: TLSFailureReason.self)
  }
}
