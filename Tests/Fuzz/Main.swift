import Glibc

/// One parser under libFuzzer. The name is that of its folder in `corpus`, and of its dictionary.
struct FuzzTarget: Sendable {
  var name: String
  /// Ends the process when a property does not hold.
  var run: @Sendable ([UInt8]) -> Void
}

/// Every target. A new one is a line here, a file beside this one, a folder in `corpus` with a few
/// small inputs, perhaps a dictionary in `dictionaries`, and its modules or sources in `run`.
let fuzzTargets: [FuzzTarget] = [
  FuzzTarget(name: "http-request", run: fuzzHTTPRequests),
  FuzzTarget(name: "http-response", run: fuzzHTTPResponses),
  FuzzTarget(name: "http-chunked", run: fuzzChunked),
  FuzzTarget(name: "event-stream", run: fuzzEventStream),
  FuzzTarget(name: "stream-places", run: fuzzStreamPlaces),
  FuzzTarget(name: "websocket", run: fuzzWebSocket),
  FuzzTarget(name: "deflate", run: fuzzDeflate),
  FuzzTarget(name: "text", run: fuzzText),
  FuzzTarget(name: "wire-frames", run: fuzzWireFrames),
  FuzzTarget(name: "json", run: fuzzJSON),
  FuzzTarget(name: "config", run: fuzzConfig),
  FuzzTarget(name: "identity", run: fuzzIdentity),
  FuzzTarget(name: "engineio-payload", run: fuzzEngineIO),
  FuzzTarget(name: "socketio-packet", run: fuzzSocketIO),
  FuzzTarget(name: "centrifuge-json", run: fuzzCentrifugeJSON),
  FuzzTarget(name: "centrifuge-protobuf", run: fuzzCentrifugeProtobuf),
  FuzzTarget(name: "fossil-delta", run: fuzzFossilDelta),
]

/// The target that the environment names; `list` prints all names, as `run` needs them.
let selectedTarget: FuzzTarget = {
  let name = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
  if let target = fuzzTargets.first(where: { $0.name == name }) { return target }
  for target in fuzzTargets { print(target.name) }
  exit(name == "list" ? 0 : 2)
}()

@_cdecl("LLVMFuzzerInitialize")
public func initializeFuzzer(
  _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutableRawPointer
) -> Int32 {
  _ = selectedTarget
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  selectedTarget.run(unsafe Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}
