extension ClientSession {
  enum Verdict: Equatable {
    case tryAgain(reason: String)
    case forGood(ClosedBecause)
  }

  /// Whether connecting again has any use after `end`.
  ///
  /// Close codes 3500–3999 and 4500–4999 are final by convention; so are 1008 and the statuses that
  /// say no to who asks or to what is asked. A server that is overloaded or starting is not.
  static func verdict(_ end: WebSocketEnd) -> Verdict {
    switch end {
    case .unreachable(let reason), .lost(let reason): return .tryAgain(reason: reason)
    case .refused(let status):
      switch status {
      case 408, 425, 429, 500...599: return .tryAgain(reason: "status \(status)")
      default: return .forGood(.refused(status: status))
      }
    case .closed(let code, let text):
      switch code ?? 0 {
      case 1008, 3500...3999, 4500...4999:
        return .forGood(.closedByServer(code: code ?? 0, reason: text))
      default:
        let words = text.isEmpty ? "" : ": \(text)"
        return .tryAgain(reason: "closed by the server\(code.map { " (\($0))" } ?? "")\(words)")
      }
    }
  }
}
