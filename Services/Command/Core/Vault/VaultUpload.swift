internal import Bytes
internal import Client
internal import HTTPCodec
internal import JSON
internal import Platform

/// The two requests that make an artifact known, and what their answers mean. Pure but for the
/// file that a body is read from.
enum VaultUpload {
  /// `PUT /vault/{sha256}` with the file as its body.
  static func content(_ artifact: Artifact, from path: FilePath) throws(SystemError) -> HTTPRequest
  {
    var request = HTTPRequest(.put, "/vault/\(artifact.sha256)")
    request.fields = [("Content-Type", "application/octet-stream")]
    guard artifact.bytes > 0 else { return request }
    let pieces = try FilePieces(path)
    request.body = .stream(count: Int(artifact.bytes)) { pieces.next() }
    return request
  }

  /// How long the content may take: a slow link of 256 KiB/s is still served.
  static func contentWithin(_ artifact: Artifact) -> Duration {
    ServerCalls.answerWithin + .seconds(artifact.bytes / (256 * 1024))
  }

  static func publication(_ artifact: Artifact, in channel: ChannelName)
    throws(PayloadJSON.Refusal) -> HTTPRequest
  {
    try ServerAPI.publish(channel, artifact.payload, key: artifact.idempotencyKey)
  }

  /// What the answer to the content means.
  static func contentAnswer(_ answer: Result<HTTPResponse, HTTPFailure>) -> StepAnswer {
    do throws(ServerAPI.Failure) {
      switch answer {
      case .success(let response): try ServerAPI.check(response)
      // The file gave less than it had: it was cut meanwhile.
      case .failure(.unsendable): return .changed
      case .failure(let failure): throw .transport(failure)
      }
      return .done(nil)
    } catch {
      return step(error)
    }
  }

  /// What the answer to the publication means.
  static func publicationAnswer(_ answer: Result<HTTPResponse, HTTPFailure>) -> StepAnswer {
    do throws(ServerAPI.Failure) {
      return .done(ServerAPI.receipt(try ServerAPI.result(answer)).position)
    } catch {
      return step(error)
    }
  }

  private static func step(_ failure: ServerAPI.Failure) -> StepAnswer {
    // 507: no room for this content; a smaller one may have some.
    if case .unexpected(507, _) = failure { return .thisLater(failure.description) }
    if failure.isTemporary { return .later(failure.description) }
    switch failure {
    case .notPermitted: return .notPermitted(failure.description)
    case .refused(let refusal) where refusal.isAboutPermission:
      return .notPermitted(failure.description)
    default: return .refused(failure.description)
    }
  }
}
