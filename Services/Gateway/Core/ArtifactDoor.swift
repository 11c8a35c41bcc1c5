internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Identity
internal import Link
internal import Loop
internal import Platform
internal import Wire

/// `PUT` and `GET /vault/{sha256}`: contents on their way between clients and the event store.
///
/// Holds a bounded part of each transfer: credit from the store holds back the uploader, the
/// downloader's queue holds back the store.
final class ArtifactDoor {
  private let gateway: GatewayLoop
  private var uploads: [UInt32: ArtifactUpload] = [:]
  private var downloads: [UInt32: ArtifactDownload] = [:]
  private var lastTransfer: UInt32 = 0

  /// BUDGET: transfers of one loop at once, for each way.
  static let transfersMax = 256
  /// Where all are taken, one that has not moved for this long makes room for a new one.
  static let idleMax = Duration.seconds(3)
  /// A store that asks for nothing and sends nothing for this long has gone.
  static let stepMax = Duration.seconds(30)

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  /// Those who send nothing must not keep the others out: the upload that has not moved for the
  /// longest time goes.
  private func makeRoomForUpload() -> Bool {
    guard uploads.count >= Self.transfersMax else { return true }
    let open = uploads.values.lazy.filter { !$0.isEnding }
    guard let idle = open.min(by: { $0.movedAt < $1.movedAt }),
      gateway.loop.now >= idle.movedAt + Self.idleMax
    else { return false }
    idle.failed(.overloaded)
    return uploads.count < Self.transfersMax
  }

  /// As for uploads: here it is one that does not read.
  private func makeRoomForDownload() -> Bool {
    guard downloads.count >= Self.transfersMax else { return true }
    guard let idle = downloads.values.min(by: { $0.movedAt < $1.movedAt }),
      gateway.loop.now >= idle.movedAt + Self.idleMax
    else { return false }
    idle.failed()
    return downloads.count < Self.transfersMax
  }

  private func takeTransfer() -> UInt32 {
    repeat { lastTransfer &+= 1 } while lastTransfer == 0 || uploads[lastTransfer] != nil
      || downloads[lastTransfer] != nil
    return lastTransfer
  }

  // MARK: up

  /// Takes an upload whose key and size were looked at, or says why not.
  func beginUpload(_ sha256: String, _ head: HTTPRequestHead, _ exchange: HTTPExchange)
    throws(Refusal) -> ArtifactUpload
  {
    guard let hash = ArtifactNotice.hash(sha256) else {
      throw .badRequest("the address ends in the content's SHA-256, 64 hexadecimal digits")
    }
    // An empty content has a length too, though its request has no body.
    guard let size = head.contentLength ?? (head.headers.contains("content-length") ? 0 : nil)
    else { throw Refusal(107, "length_required", "say Content-Length", HTTPStatus(411)) }
    guard let store = gateway.upstreams.eventstore else { throw .storeUnavailable }
    guard makeRoomForUpload() else { throw .overloaded }
    let transfer = takeTransfer()
    let upload = ArtifactUpload(transfer, exchange, store, on: gateway.loop) { [weak self] in
      self?.uploads[transfer] = nil
    }
    uploads[transfer] = upload
    upload.start(hash, size: UInt64(size), within: gateway.settings.publishMax)
    return upload
  }

  // MARK: down

  /// Answers GET and HEAD. The store is asked only when the answer's turn has come, so that
  /// nothing is held for a client that asks for much at once.
  func download(_ sha256: String, _ head: HTTPRequestHead, _ exchange: HTTPExchange) {
    guard let hash = ArtifactNotice.hash(sha256) else {
      return exchange.respond(RequestHandler.notFound)
    }
    exchange.whenFirst { [weak self, weak exchange] in
      guard let self, let exchange else { return }
      find(hash, head, exchange)
    }
  }

  private func find(_ hash: [UInt8], _ head: HTTPRequestHead, _ exchange: HTTPExchange) {
    guard let store = gateway.upstreams.eventstore else {
      return exchange.respond(.error(.storeUnavailable))
    }
    let key = exchange.key
    let identity: Identity?
    do throws(Refusal) {
      identity = try gateway.settings.authenticator.identity(head)
    } catch { return exchange.respond(.error(error)) }
    guard key != nil || identity != nil || !gateway.settings.authenticator.settings.isRequired else {
      return exchange.respond(.error(.signInFirst))
    }
    let find = FindArtifact(remainingMs: gateway.settings.publishMaxMs, sha256: hash)
    gateway.ask(store, find, expecting: ArtifactStreams.self) { [weak self] result in
      guard let self else { return }
      switch result {
      case .failure(let refusal): exchange.respond(.error(refusal))
      case .success(let found):
        // Who may not read it learns no more than who asks for nothing that exists.
        let isOpen =
          key?.allowsEverywhere(.history) ?? false
          || found.streams.contains { name in
            key?.allows(.history, name) ?? false || self.mayRead(name, identity)
          }
        guard found.isStored, isOpen else {
          return exchange.respond(RequestHandler.notFound)
        }
        answer(hash, found.size, head, exchange)
      }
    }
  }

  private func mayRead(_ name: ChannelName, _ identity: Identity?) -> Bool {
    guard let policy = gateway.settings.policy(name) else { return false }
    let client = ClientStanding(ClientID(number: 0), identity)
    return client.may(.subscribe, name, policy, gateway.settings.access)
  }

  private func answer(
    _ hash: [UInt8], _ size: UInt64, _ head: HTTPRequestHead, _ exchange: HTTPExchange
  ) {
    let tag = "\"\(hex(hash))\""
    var answer = Response(.ok, "application/octet-stream", [])
    answer.fields += [
      ("ETag", tag), ("Accept-Ranges", "bytes"), ("X-Content-Type-Options", "nosniff"),
      ("Content-Disposition", "attachment"),
    ]
    var (offset, count) = (UInt64(0), size)
    switch ContentRange(head, ContentValidators(tag: tag, modified: nil, size: size)) {
    case .whole: break
    case .notModified:
      var unchanged = Response(.notModified, "", [])
      unchanged.fields.append(("ETag", tag))
      return exchange.respond(unchanged)
    case .unsatisfiable: return exchange.respond(.unsatisfiable(size: size))
    case .preconditionFailed: return exchange.respond(.preconditionFailed)
    case .part(let partOffset, let partCount):
      (offset, count) = (partOffset, partCount)
      answer.status = .partialContent
      answer.fields.append(("Content-Range", "bytes \(offset)-\(offset + count - 1)/\(size)"))
    }
    answer.length = count
    if head.method == .head { return exchange.respond(answer) }
    guard let store = gateway.upstreams.eventstore else {
      return exchange.respond(.error(.storeUnavailable))
    }
    guard makeRoomForDownload() else { return exchange.respond(.error(.overloaded)) }
    let transfer = takeTransfer()
    let download = ArtifactDownload(transfer, exchange, store, answer, on: gateway.loop) {
      [weak self] in
      self?.downloads[transfer] = nil
    }
    downloads[transfer] = download
    download.start(hash, offset: offset, count: count, within: gateway.settings.publishMax)
  }

  // MARK: news from the store

  func received(_ chunk: ArtifactChunk) { downloads[chunk.transfer]?.received(chunk.content) }
  func received(_ end: EndArtifact) { downloads[end.transfer]?.ended() }
  func received(_ credit: ArtifactCredit) {
    uploads[credit.transfer]?.granted(Int(credit.bytes))
  }
  func received(_ cancel: CancelArtifact) {
    let failure = Failure(ErrorCode(rawValue: cancel.code))
    uploads[cancel.transfer]?.failed(Refusal(failure))
    downloads[cancel.transfer]?.failed()
  }

  func linkLost() {
    for upload in Array(uploads.values) { upload.failed(.storeUnavailable) }
    for download in Array(downloads.values) { download.failed() }
  }
}
