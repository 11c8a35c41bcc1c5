internal import Bytes

/// A whole answer to a request.
public struct HTTPAnswer: Sendable {
  public let head: HTTPResponseHead
  public let body: [UInt8]

  public var status: Int { head.status.rawValue }
}

/// Puts one answer together from what a connection brings. Pure.
///
/// Holds the body, at most as many bytes as it is told; interim answers (1xx) are skipped.
public struct HTTPAnswerReader: Sendable {
  private let method: HTTPMethod
  private let bytesMax: Int
  private var reader = HTTPResponseReader()
  private var interims = 0
  private var head: HTTPResponseHead?
  private var decoder: HTTPBodyDecoder?
  private var body: [UInt8] = []
  /// Whether any byte of an answer has come.
  public private(set) var hasBegun = false

  /// BUDGET: interim answers before the one that counts.
  private static let interimsMax = 16

  public init(answering method: HTTPMethod, bytesMax: Int) {
    self.method = method
    self.bytesMax = bytesMax
  }

  /// Whether the connection can carry another request after this answer.
  public var keepsAlive: Bool { head?.keepAlive ?? false }

  /// Takes bytes from `offset` on and gives the answer once it is complete; `offset` then stands
  /// behind it.
  ///
  /// - Errors: what is no HTTP, or a body of more than `bytesMax`.
  public mutating func received(_ bytes: borrowing Span<UInt8>, from offset: inout Int)
    throws(HTTPError) -> HTTPAnswer?
  {
    if offset < bytes.count { hasBegun = true }
    while decoder == nil {
      guard let head = try reader.next(bytes, from: &offset, answering: method) else { return nil }
      guard head.status.rawValue >= 200 else {
        interims += 1
        guard interims <= Self.interimsMax else { throw .headTooLarge }
        continue
      }
      self.head = head
      decoder = try HTTPBodyDecoder(head.framing, bytesMax: bytesMax)
    }
    while let event = try decoder?.next(bytes, from: &offset) {
      switch event {
      case .bytes(let range): body.append(copying: bytes.extracting(range))
      case .end: return answer
      }
    }
    return nil
  }

  /// The connection brings nothing more: the answer, where that is how it ends.
  ///
  /// - Errors: `truncatedBody`.
  public mutating func receivedEnd() throws(HTTPError) -> HTTPAnswer? {
    guard decoder != nil else { return nil }
    return try decoder?.receivedEnd() == .end ? answer : nil
  }

  private var answer: HTTPAnswer? { head.map { HTTPAnswer(head: $0, body: body) } }
}
