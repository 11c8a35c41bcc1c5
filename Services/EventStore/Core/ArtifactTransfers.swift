internal import Bytes
internal import Link
internal import Wire

/// Artifacts on their way between links and the artifacts' thread, with credit both ways.
final class ArtifactTransfers {
  private struct Upload {
    weak var link: Link?
    let linkTag: Int
    var transfer: UInt32
    var begin: FrameHeader
    var end: FrameHeader?
  }

  private struct Download {
    weak var link: Link?
    let linkTag: Int
    var transfer: UInt32
    var sha256: [UInt8]
    var offset: UInt64
    var left: UInt64
    var credit: Int
    /// Until the first bytes are there.
    var request: FrameHeader?
    var isReading = false
  }

  private struct Key: Hashable {
    var link: Int
    var transfer: UInt32
  }

  private let thread: ArtifactThread
  private var uploads: [UInt64: Upload] = [:]
  private var downloads: [UInt64: Download] = [:]
  private var finds: [UInt64: (link: WeakLink, header: FrameHeader)] = [:]
  private var ids: [Key: UInt64] = [:]
  private var lastID: UInt64 = 0

  private struct WeakLink { weak var link: Link? }

  /// Bytes of one upload that may be under way.
  static let windowBytes: UInt32 = 4 * 1024 * 1024

  init(_ thread: ArtifactThread) { self.thread = thread }

  private func takeID() -> UInt64 {
    lastID += 1
    return lastID
  }

  func received(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    switch header.kind {
    case .putArtifact: put(link, header, try PutArtifact(body: body))
    case .artifactChunk:
      let chunk = try ArtifactChunk(body: body)
      guard let id = ids[Key(link: link.tag, transfer: chunk.transfer)], uploads[id] != nil else {
        return .now
      }
      if !thread.add(.write(id, chunk.content)) { cancel(id, .overloaded) }
    case .endArtifact:
      let end = try EndArtifact(body: body)
      guard let id = ids[Key(link: link.tag, transfer: end.transfer)], uploads[id] != nil else {
        link.fail(header, .notFound)
        return .now
      }
      uploads[id]?.end = header
      if !thread.add(.finish(id)) { cancel(id, .overloaded) }
    case .getArtifact: get(link, header, try GetArtifact(body: body))
    case .artifactCredit:
      let credit = try ArtifactCredit(body: body)
      guard let id = ids[Key(link: link.tag, transfer: credit.transfer)] else { return .now }
      downloads[id]?.credit += Int(credit.bytes)
      readOn(id)
    case .cancelArtifact:
      let cancel = try CancelArtifact(body: body)
      if let id = ids[Key(link: link.tag, transfer: cancel.transfer)] { forget(id) }
    case .findArtifact:
      let find = try FindArtifact(body: body)
      let id = takeID()
      finds[id] = (WeakLink(link: link), header)
      if !thread.add(.find(id, sha256: find.sha256)) {
        finds[id] = nil
        link.fail(header, .overloaded)
      }
    default: break
    }
    return .now
  }

  private func put(_ link: Link, _ header: FrameHeader, _ request: PutArtifact) {
    let key = Key(link: link.tag, transfer: request.transfer)
    guard request.sha256.count == 32, ids[key] == nil else { return link.fail(header, .badRequest) }
    let id = takeID()
    guard thread.add(.begin(id, sha256: request.sha256, size: request.size)) else {
      return link.fail(header, .overloaded)
    }
    ids[key] = id
    uploads[id] = Upload(
      link: link, linkTag: link.tag, transfer: request.transfer, begin: header)
  }

  private func get(_ link: Link, _ header: FrameHeader, _ request: GetArtifact) {
    let key = Key(link: link.tag, transfer: request.transfer)
    guard request.sha256.count == 32, ids[key] == nil else { return link.fail(header, .badRequest) }
    let id = takeID()
    ids[key] = id
    downloads[id] = Download(
      link: link, linkTag: link.tag, transfer: request.transfer, sha256: request.sha256, offset: request.offset,
      left: request.count, credit: Int(request.credit), request: header)
    readOn(id)
  }

  /// Reads the next chunk if there is credit for it.
  private func readOn(_ id: UInt64) {
    guard let download = downloads[id], !download.isReading,
      download.credit > 0 || download.left == 0
    else { return }
    let count = min(Limits.chunkBytesMax, max(download.credit, 0), Int(clamping: download.left))
    downloads[id]?.isReading = true
    let job = ArtifactThread.Job.read(
      id, sha256: download.sha256, offset: download.offset, count: count,
      end: download.offset.addingReportingOverflow(download.left).overflow
        ? .max : download.offset + download.left)
    if !thread.add(job) { cancel(id, .overloaded) }
  }

  // MARK: outcomes

  func received(_ outcome: ArtifactThread.Outcome) {
    switch outcome {
    case .ready(let id, let isStored):
      guard let upload = uploads[id] else { return }
      upload.link?.reply(
        ArtifactReady(isStored: isStored, credit: isStored ? 0 : Self.windowBytes),
        to: upload.begin.correlation)
      if isStored { forget(id) }
    case .written(let id, let bytes):
      guard let upload = uploads[id] else { return }
      upload.link?.send(
        ArtifactCredit(transfer: upload.transfer, bytes: UInt32(clamping: bytes)))
    case .stored(let id, let size):
      if let upload = uploads[id], let end = upload.end {
        upload.link?.reply(ArtifactStored(size: size), to: end.correlation)
      }
      forget(id)
    case .content(let id, let size, let bytes): read(id, size, bytes)
    case .found(let id, let size, let streams):
      guard let (holder, header) = finds.removeValue(forKey: id) else { return }
      holder.link?.reply(
        ArtifactStreams(
          isStored: size != nil, size: size ?? 0, streams: streams.compactMap { ChannelName($0) }),
        to: header.correlation)
    case .refused(let id, let refusal): refused(id, refusal)
    case .indexed, .indexFailed, .failed: break
    }
  }

  private func read(_ id: UInt64, _ size: UInt64, _ bytes: [UInt8]) {
    guard var download = downloads[id], let link = download.link else { return forget(id) }
    if let request = download.request {
      link.reply(ArtifactFound(size: size), to: request.correlation)
      download.request = nil
      download.left = min(download.left, size > download.offset ? size - download.offset : 0)
    }
    download.isReading = false
    if !bytes.isEmpty {
      guard
        link.send(ArtifactChunk(transfer: download.transfer, content: bytes)) == .sent
      else { return cancel(id, .overloaded) }
      download.offset += UInt64(bytes.count)
      download.left -= min(download.left, UInt64(bytes.count))
      download.credit -= bytes.count
    }
    downloads[id] = download
    if download.left == 0 || bytes.isEmpty && download.offset >= size {
      link.send(EndArtifact(transfer: download.transfer))
      return forget(id)
    }
    readOn(id)
  }

  private func refused(_ id: UInt64, _ refusal: ArtifactThread.ArtifactRefusal) {
    let (code, message): (ErrorCode, String?) =
      switch refusal {
      case .hashMismatch: (.hashMismatch, nil)
      case .sizeMismatch: (.badRequest, "the content has another size than was announced")
      case .notFound: (.notFound, nil)
      case .outOfSpace: (.outOfSpace, nil)
      case .damaged: (.corrupt, "the content is damaged and was put aside; send it again")
      case .io(let reason): (.unavailable, reason)
      }
    if let (holder, header) = finds.removeValue(forKey: id) {
      holder.link?.fail(header, code, message)
    } else if let upload = uploads[id], let end = upload.end {
      upload.link?.fail(end, code, message)
      forget(id)
    } else if let download = downloads[id], let request = download.request {
      download.link?.fail(request, code, message)
      forget(id)
    } else {
      cancel(id, code)
    }
  }

  private func cancel(_ id: UInt64, _ code: ErrorCode) {
    let transfer = uploads[id]?.transfer ?? downloads[id]?.transfer
    let link = uploads[id]?.link ?? downloads[id]?.link
    if let transfer { link?.send(CancelArtifact(transfer: transfer, code: code.rawValue)) }
    forget(id)
  }

  private func forget(_ id: UInt64) {
    if let upload = uploads.removeValue(forKey: id) {
      ids[Key(link: upload.linkTag, transfer: upload.transfer)] = nil
      // A content that is whole has left the thread's list; cancelling it does nothing.
      _ = thread.add(.cancel(id))
    } else if let download = downloads.removeValue(forKey: id) {
      ids[Key(link: download.linkTag, transfer: download.transfer)] = nil
      _ = thread.add(.cancel(id))
    }
  }

  /// A link that is gone takes its transfers with it.
  func ended(_ link: Link) {
    for (key, id) in ids where key.link == link.tag { forget(id) }
  }

  func relieved(_ link: Link) {}
}
