internal import Bytes
internal import Crypto
internal import HTTPCodec

/// The observer page and the page of two timelines, compiled in.
enum Pages {
  private static let policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

  /// - Parameter modified: seconds since 1970 at which the page can have changed last: it is
  ///   compiled in, so when this process began.
  static func find(_ name: String, _ head: HTTPRequestHead, modified: Int) -> Response? {
    guard let (type, content) = file(name) else { return nil }
    let validators = ContentValidators(
      tag: tags[name] ?? tag(content), modified: modified, size: UInt64(content.count))
    var response: Response
    switch ContentRange(head, validators) {
    case .whole: response = Response(.ok, type, content)
    case .part(let offset, let count):
      let end = offset + count
      response = Response(.partialContent, type, Array(content[Int(offset)..<Int(end)]))
      response.fields.append(("Content-Range", "bytes \(offset)-\(end - 1)/\(content.count)"))
    case .notModified: response = Response(.notModified, type, [])
    case .preconditionFailed: return .preconditionFailed
    case .unsatisfiable: return .unsatisfiable(size: validators.size)
    }
    response.fields += [
      ("ETag", validators.tag), ("Last-Modified", HTTPDate.text(secondsSince1970: modified)),
      ("Accept-Ranges", "bytes"), ("Cache-Control", "no-cache"),
      ("Content-Security-Policy", policy), ("X-Content-Type-Options", "nosniff"),
      ("Referrer-Policy", "no-referrer"),
    ]
    return response
  }

  static func contains(_ name: String) -> Bool { file(name) != nil }

  static let names = [
    "index.html", "style.css", "icon.svg", "app.js", "feed.js", "indicator.js", "presence.js",
    "session.js", "signin.js", "timelines.html", "timelines.css", "timelines.js", "timeline.js", "chart.js",
  ]

  /// Made once: the files never change while the process runs.
  private static let tags: [String: String] = Dictionary(
    uniqueKeysWithValues: names.compactMap { name in
      file(name).map { (name, tag($0.1)) }
    })

  private static func tag(_ content: [UInt8]) -> String {
    "\"\(hex(Array(SHA256.digest(content).prefix(16))))\""
  }

  private static let script = "text/javascript; charset=utf-8"

  private static func file(_ name: String) -> (String, [UInt8])? {
    switch name {
    case "index.html": ("text/html; charset=utf-8", PackageResources.index_html)
    case "style.css": ("text/css; charset=utf-8", PackageResources.style_css)
    case "icon.svg": ("image/svg+xml", PackageResources.icon_svg)
    case "app.js": (script, PackageResources.app_js)
    case "feed.js": (script, PackageResources.feed_js)
    case "indicator.js": (script, PackageResources.indicator_js)
    case "presence.js": (script, PackageResources.presence_js)
    case "session.js": (script, PackageResources.session_js)
    case "signin.js": (script, PackageResources.signin_js)
    case "timelines.html": ("text/html; charset=utf-8", PackageResources.timelines_html)
    case "timelines.css": ("text/css; charset=utf-8", PackageResources.timelines_css)
    case "timelines.js": (script, PackageResources.timelines_js)
    case "timeline.js": (script, PackageResources.timeline_js)
    case "chart.js": (script, PackageResources.chart_js)
    default: nil
    }
  }
}
