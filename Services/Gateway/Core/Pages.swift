internal import HTTPCodec

/// The observer page, compiled in.
enum Pages {
  private static let policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

  static func find(_ name: String, _ head: HTTPRequestHead) -> Response? {
    guard let (type, content) = file(name) else { return nil }
    var response = Response(.ok, type, content)
    response.fields += [
      ("Cache-Control", "no-cache"), ("Content-Security-Policy", policy),
      ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
    ]
    return response
  }

  static func contains(_ name: String) -> Bool { file(name) != nil }

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
    default: nil
    }
  }
}
