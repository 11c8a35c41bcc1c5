internal import Config
internal import Synchronization

/// The routes in force, which a reload may change. Any thread.
final class RouteBook: Sendable {
  private let held: Mutex<[RouteRule]>

  init(_ routes: [RouteRule]) { held = Mutex(routes) }

  var routes: [RouteRule] { held.withLock { $0 } }
  func replace(_ routes: [RouteRule]) { held.withLock { $0 = routes } }
}
