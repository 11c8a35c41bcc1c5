/// The parts of docs/CONFIGURATION.md that are made from the code, as Markdown.
public enum ConfigReference {
  /// One row for every limit: name, default, range, what happens at it, whether that is counted,
  /// when SIGHUP brings another value into force, why.
  public static var limitsTable: String {
    var text = "| limit | default | from … to | beyond it | counted | SIGHUP | what for |\n"
    text += "|---|---|---|---|---|---|---|\n"
    let limits = Limits()
    for limit in Limits.table {
      text += "| `\(limit.name.rawValue)` | \(limits.text(of: limit)) | \(range(limit)) | "
      text += "\(limit.overflow) | \(limit.isCounted ? "yes" : "no") | \(limit.uptake.text) | "
      text += "\(limit.reason) |\n"
    }
    return text
  }

  private static func range(_ limit: Limit) -> String {
    if case .rate = limit.slot { return "1/h … \(limit.range.upperBound)/s, none" }
    return "\(limit.text(limit.range.lowerBound)) … \(limit.text(limit.range.upperBound))"
  }

  /// One row for every variable: its name and the setting that it overrides. Limits are left out:
  /// they follow the same rule.
  public static var variablesTable: String {
    var text = "| variable | setting |\n|---|---|\n"
    for name in Configuration.variables.keys.sorted() {
      guard let (section, key) = Configuration.variables[name], section != "limits" else {
        continue
      }
      text += "| `\(name)` | `\(section).\(key)` |\n"
    }
    return text
  }
}

extension Limit.Uptake {
  fileprivate var text: String {
    switch self {
    case .atOnce: "at once"
    case .newcomers: "newcomers"
    case .restart: "needs a restart"
    }
  }
}
