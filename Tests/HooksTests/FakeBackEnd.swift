import Bytes
import Config
import HTTPCodec
import Hooks
import Loop
import Platform
import TLS
import TLSStream

/// A back end on the test's own loop: it takes connections and does what the test says.
final class FakeBackEnd {
  let port: UInt16
  private(set) var connections: [Talk] = []
  private var listener: Listener?

  var openCount: Int { connections.filter(\.isOpen).count }
  var requests: [Talk.Request] { connections.flatMap(\.requests) }

  init(
    on loop: EventLoop, port wanted: UInt16 = 0, certificate: TLSCertificate? = nil,
    _ handle: @escaping (Talk, Talk.Request) -> Void
  ) throws {
    let context = try certificate.map { try TLSContext(server: $0) }
    let descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: wanted))
    let address = try Sockets.localAddress(descriptor)
    guard case .tcp(_, let port) = address else { throw SystemError(code: 0, call: "not TCP") }
    self.port = port
    listener = try Listener(descriptor, address: address, on: loop) { [weak self] descriptor, _ in
      let stream = Stream(descriptor, on: loop, transform: context.map { TLSTransform($0) })
      let talk = Talk(stream, handle)
      self?.connections.append(talk)
      try? stream.start(talk)
    }
  }

  func close() {
    listener?.close()
    listener = nil
    for talk in connections { talk.stream.close() }
  }

  func url(_ path: String, scheme: String = "http", host: String = "127.0.0.1") throws -> HookURL {
    guard let url = HookURL("\(scheme)://\(host):\(port)\(path)") else {
      throw SystemError(code: 0, call: "no address")
    }
    return url
  }
}

/// One connection of the server's.
final class Talk: StreamOwner {
  struct Request {
    var head: HTTPRequestHead
    var body: [UInt8]
    var text: String { String(decoding: body, as: UTF8.self) }
  }

  let stream: Stream
  private(set) var isOpen = true
  private(set) var requests: [Request] = []
  private let handle: (Talk, Request) -> Void
  private var reader = HTTPRequestReader()
  private var head: HTTPRequestHead?
  private var decoder: HTTPBodyDecoder?
  private var body: [UInt8] = []

  init(_ stream: Stream, _ handle: @escaping (Talk, Request) -> Void) {
    self.stream = stream
    self.handle = handle
  }

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    do throws(HTTPError) {
      if head == nil {
        guard let next = try reader.next(bytes, from: &offset) else { return bytes.count }
        head = next
        body = []
        decoder = try HTTPBodyDecoder(next.framing, bytesMax: 1 << 20)
      }
      while let event = try decoder?.next(bytes, from: &offset) {
        switch event {
        case .bytes(let range): body += [UInt8](copying: bytes.extracting(range))
        case .end: complete()
        }
      }
    } catch { stream.close() }
    return bytes.count
  }

  private func complete() {
    guard let head else { return }
    let request = Request(head: head, body: body)
    self.head = nil
    requests.append(request)
    handle(self, request)
  }

  func answer(_ body: String, status: Int = 200, fields: String = "") {
    raw("HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
  }

  func raw(_ text: String) { stream.send([UInt8](text.utf8)) }

  func streamDrained(_ stream: Stream) {}
  func streamEnded(_ stream: Stream, _ end: StreamEnd) { isOpen = false }
}
