public import Bytes
public import Wire

/// Why a file is not what an export wrote, and where it is first noticed.
public struct ArchiveFault: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Reason: String, Sendable {
    case noHeader = "no header of a stream: it is no export, or its first line was changed"
    case noEvent = "no event of a stream"
    case order = "an event is missing, twice there or out of its order"
    case chain = "the chain breaks: what the event holds was changed"
    case form = "not as it was written"
    case end = "the end does not fit what stands before it"
    case cut = "the file ends before its stream does"
    case lineTooLong = "the line is too long"
  }

  /// The first line is 1.
  public var line: Int
  /// The event that should stand there; nil for a header.
  public var offset: Offset?
  public var reason: Reason

  public init(line: Int, offset: Offset?, reason: Reason) {
    self.line = line
    self.offset = offset
    self.reason = reason
  }

  public var description: String {
    "line \(line)\(offset.map { ", offset \($0)" } ?? ""): \(reason.rawValue)"
  }
}

/// Reads a file line by line, and takes nothing on trust: the chain is computed anew, and every line has to
/// be, byte for byte, what an export of the same events writes.
///
///     header → event → … → event → end → header of the next stream, or the end of the file
///
/// Memory is bounded by a line. Pure.
public struct ArchiveReader: ~Copyable {
  /// What a line was.
  public enum Item: Sendable, Equatable {
    case header(ArchiveHeader)
    case event(StoredEvent)
    /// All of a stream has been read.
    case end(ArchiveHeader, count: UInt64, last: Offset, StreamChain)
  }

  private struct Section {
    let header: ArchiveHeader
    let format: ArchiveFormat
    var chain: StreamChain
    var count: UInt64 = 0
    var next: Offset { Offset(header.first.value &+ count) }
  }

  /// BUDGET: bytes of a line: an event of 16 MiB in base64, and what is around it.
  public static let lineBytesMax = 24 << 20

  public private(set) var line = 0
  private var section: Section?
  private var maker = StreamChain.Maker()

  public init() {}

  /// Takes the next line, without its line feed.
  public mutating func take(_ span: borrowing Span<UInt8>) throws(ArchiveFault) -> Item {
    line += 1
    guard var open = section else {
      guard let (header, format) = ArchiveLine.header(span) else { throw fault(.noHeader) }
      section = Section(header: header, format: format, chain: header.chain)
      return .header(header)
    }
    guard let parts = ArchiveLine.parts(span, open.format), let event = parts.event else {
      return try end(span, open)
    }
    guard event.offset == open.next else { throw fault(.order) }
    var encoded = EncodedEvents()
    encoded.append(event)
    let chain = maker.chain(open.chain, adding: encoded.bytes.span)
    guard parts.chain == chain else { throw fault(.chain) }
    guard ArchiveLine.event(event, chain, open.header, open.format) == [UInt8](copying: span) else {
      throw fault(.form)
    }
    open.chain = chain
    open.count += 1
    section = open
    return .event(event)
  }

  private mutating func end(
    _ span: borrowing Span<UInt8>, _ open: Section
  ) throws(ArchiveFault) -> Item {
    let last = Offset(open.next.value &- 1)
    let trailer = ArchiveTrailer(count: open.count, last: last, chain: open.chain)
    guard ArchiveLine.end(trailer, open.header, open.format) == [UInt8](copying: span) else {
      throw fault(Self.isEnd(span, open.format) ? .end : .noEvent)
    }
    section = nil
    return .end(open.header, count: open.count, last: last, open.chain)
  }

  private static func isEnd(_ span: borrowing Span<UInt8>, _ format: ArchiveFormat) -> Bool {
    let data = format == .ndjson ? [UInt8](copying: span) : CloudEvent.data(span) ?? []
    return data.starts(with: #"{"sapphire":"end","#.utf8)
  }

  /// The file ends here.
  public func finish() throws(ArchiveFault) {
    guard line > 0, section == nil else {
      throw ArchiveFault(line: line + 1, offset: section?.next, reason: line > 0 ? .cut : .noHeader)
    }
  }

  private func fault(_ reason: ArchiveFault.Reason) -> ArchiveFault {
    ArchiveFault(line: line, offset: section?.next, reason: reason)
  }
}
