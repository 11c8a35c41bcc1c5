public import Wire

extension Link {
  /// Answers a request with a failure; a frame that asked for nothing is passed over.
  public func fail(_ request: FrameHeader, _ code: ErrorCode, _ message: String? = nil) {
    reply(Failure(code, message), to: request.correlation)
  }
}
