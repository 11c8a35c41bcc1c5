import Deflate
import WebSocketCodec

private enum Outcome: Equatable {
  case message([UInt8])
  case failed(InflateError)
}

/// One compressed message, and the same bytes as a message and as a header of the negotiation.
func fuzzDeflate(_ input: [UInt8]) {
  let inflater = MessageInflater(context: .newForEachMessage)
  requireSplitInvariance(input) { [unfold($0, inflater)] }
  for context in [MessageDeflater.Context.newForEachMessage, .keptBetweenMessages] {
    comeBack(input, context)
  }
  negotiate(String(decoding: input, as: UTF8.self))
}

/// Limits that short inputs reach, below where the ratio of what has come begins to count.
private func unfold(_ pieces: [[UInt8]], _ inflater: MessageInflater) -> Outcome {
  let bytesMax = 5_000
  var output: [UInt8] = []
  do {
    inflater.begin(bytesMax: bytesMax, output: output)
    for piece in pieces { try inflater.append(piece.span, into: &output) }
    try inflater.end(into: &output)
    require(output.count <= bytesMax, "more than allowed")
    return .message(output)
  } catch {
    require(output.count <= bytesMax + 1, "more than allowed behind an error")
    return .failed(error)
  }
}

/// The input as two messages: one of its halves after the other.
private func comeBack(_ input: [UInt8], _ context: MessageDeflater.Context) {
  let deflater = MessageDeflater(context: context, windowBits: 9 + input.count % 7, memoryLevel: 1)
  let inflater = MessageInflater(
    context: context == .newForEachMessage ? .newForEachMessage : .keptBetweenMessages)
  for half in [input[..<(input.count / 2)], input[(input.count / 2)...]] {
    let message = Array(half)
    require(
      unfold([deflater.compress(message)], inflater) == .message(message), "did not come back")
  }
}

private func negotiate(_ header: String) {
  guard let offers = WebSocketExtension.parse([header]) else { return }
  require(
    WebSocketExtension.parse(offers.map(\.headerValue)) == offers, "a header is not read again")
  let settings = PermessageDeflate.Settings(
    serverContext: .keptBetweenMessages, clientContext: .keptBetweenMessages)
  guard let agreement = PermessageDeflate.agree(offers: offers, settings: settings) else { return }
  require(9...15 ~= agreement.serverWindowBits, "a window that zlib can't write")
  guard agreement.clientWindowBits > 8 else { return }
  let read = PermessageDeflate.accept(answer: [agreement.answer])
  require(read?.serverContext == agreement.serverContext, "another context of the server")
  require(read?.clientContext == agreement.clientContext, "another context of the client")
  require(read?.clientWindowBits == agreement.clientWindowBits, "another window of the client")
}
