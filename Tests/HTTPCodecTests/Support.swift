import HTTPCodec
import TestKit

/// What a connection's bytes turn into: heads as text, bodies whole, errors last.
enum Outcome: Equatable, Sendable {
  case head(String)
  case body([UInt8])
  case failed(HTTPError)
}

/// Reads requests with their bodies from segments, as a server would.
func readRequests(
  _ segments: [[UInt8]], bodyBytesMax: Int = 1 << 20, limits: HTTPLimits = HTTPLimits()
) -> [Outcome] {
  var reader = HTTPRequestReader(limits: limits)
  var decoder: HTTPBodyDecoder?
  var body: [UInt8] = []
  var outcomes: [Outcome] = []
  do {
    for segment in segments {
      var offset = 0
      reading: while true {
        if decoder != nil {
          switch try decoder?.next(segment.span, from: &offset) {
          case .bytes(let range): body += segment[range]
          case .end:
            outcomes.append(.body(body))
            body = []
            decoder = nil
          case nil: break reading
          }
        } else {
          guard let head = try reader.next(segment.span, from: &offset) else { break }
          outcomes.append(.head(describe(head)))
          decoder = try HTTPBodyDecoder(head.framing, bytesMax: bodyBytesMax)
          if head.framing == .none { decoder = nil }
        }
      }
    }
  } catch {
    outcomes.append(.failed(error))
  }
  return outcomes
}

func describe(_ head: HTTPRequestHead) -> String {
  let fields = (0..<head.headers.count).map { "\(head.headers[$0].name)=\(head.headers[$0].value)" }
  return "\(head.method.rawValue) \(head.path) \(head.target.query.map { [$0.name, $0.value] }) "
    + "\(head.version) \(fields) \(head.framing) \(head.keepAlive)"
}

/// The head that `text` is.
func head(_ text: String) throws -> HTTPRequestHead {
  var reader = HTTPRequestReader()
  var offset = 0
  let bytes = Array(text.utf8)
  guard let head = try reader.next(bytes.span, from: &offset) else { throw HTTPError.truncatedBody }
  return head
}

/// The error that `bytes` ends in, if any.
func refusal(_ bytes: [UInt8], bodyBytesMax: Int = 1 << 20) -> HTTPError? {
  if case .failed(let error) = readRequests([bytes], bodyBytesMax: bodyBytesMax).last {
    error
  } else {
    nil
  }
}

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }
