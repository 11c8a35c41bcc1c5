import Bytes
import Config
import JSON

/// A configuration file: JSON5, then every setting; and the same text as variables' values.
func fuzzConfig(_ input: [UInt8]) {
  checkJSON5(input)
  let check = checkConfiguration(input)
  checkLinesMove(input, check)
  checkVariables(input)
}

/// Every line that is spoken of is one of the file's; a file's last line may be empty.
private func lines(of input: [UInt8]) -> ClosedRange<Int> {
  1...(1 + input.count { $0 == 10 || $0 == 13 })
}

/// JSON is JSON5 with the same meaning; what JSON5 means can be written as JSON.
private func checkJSON5(_ input: [UInt8]) {
  let strict = try? JSONValue.parse(input.span)
  do throws(JSON5Error) {
    let value = try JSON5.parse(input)
    checkPlaces(value, from: 1, in: lines(of: input))
    let json = value.json
    require(strict == nil || json == strict, "JSON with another meaning")
    require((try? JSONValue.parse(json.jsonBytes.span)) == json, "no JSON can be written of it")
    require((try? JSON5.parse(json.jsonBytes))?.json == json, "not the same when written again")
  } catch {
    require(lines(of: input) ~= error.line, "line \(error.line) is not in the file")
    require(!error.reason.isEmpty, "an error without a reason")
    if let strict { require(depth(strict) > JSON5.depthMax, "JSON is refused: \(error)") }
  }
}

private func depth(_ value: JSONValue) -> Int {
  switch value {
  case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
  case .object(let object): 1 + (object.members.map { depth($0.value) }.max() ?? 0)
  default: 0
  }
}

/// Nothing stands before what it is part of.
private func checkPlaces(_ value: ConfigValue, from line: Int, in lines: ClosedRange<Int>) {
  guard case .line(let own) = value.place, own >= line, lines ~= own else {
    fatalError("\(value.place) within line \(line)")
  }
  switch value.content {
  case .array(let elements): for element in elements { checkPlaces(element, from: own, in: lines) }
  case .object(let members):
    for member in members {
      guard case .line(let key) = member.place, key >= own else { fatalError("a key's line") }
      checkPlaces(member.value, from: key, in: lines)
    }
  default: break
  }
}

private let types = ["relay", "broadcast", "cursor", "board", "echo"]

private func checkConfiguration(_ input: [UInt8]) -> ConfigCheck {
  let check = Configuration.check(file: "f", text: input, channelTypes: types)
  require(check.report.utf8.count { $0 == 10 } == check.problems.count, "not a line a problem")
  var last = 0
  for problem in check.problems {
    require(!problem.reason.isEmpty, "a problem without a reason")
    requirePlain(problem)
    switch problem.place {
    case .line(let line):
      require(lines(of: input) ~= line && line >= last, "line \(line) after \(last)")
      last = line
    case .variable: fatalError("a variable that nobody set")
    case .defaults: last = .max
    }
  }
  if check.isSound {
    let endpoints = check.configuration.gateway.listen + check.configuration.hub.listen
    for endpoint in endpoints {
      require((try? Endpoint(endpoint.description)) == endpoint, "\(endpoint) is another")
    }
  }
  return check
}

/// A terminal and a log show one line, whatever the file says.
private func requirePlain(_ problem: ConfigProblem) {
  let isPlain = problem.description.unicodeScalars.allSatisfy {
    $0.properties.generalCategory != .control && $0 != "\u{2028}" && $0 != "\u{2029}"
  }
  require(isPlain, "control characters in \(problem.description.debugDescription)")
}

/// An empty line in front changes nothing but the lines.
private func checkLinesMove(_ input: [UInt8], _ check: ConfigCheck) {
  let moved = Configuration.check(file: "f", text: [10] + input, channelTypes: types)
  require(moved.configuration == check.configuration, "another configuration")
  require(moved.problems.count == check.problems.count, "other problems")
  for (one, other) in zip(check.problems, moved.problems) {
    require(one.setting == other.setting, "another setting")
    switch (one.place, other.place) {
    case (.line(let line), .line(let after)): require(after == line + 1, "\(line) became \(after)")
    default: require(one.place == other.place, "another place")
    }
  }
}

/// Variables of each form that a setting can have.
private let variables = [
  "SAPPHIRE_GATEWAY_LISTEN", "SAPPHIRE_GATEWAY_ORIGINS", "SAPPHIRE_LIMITS_WS_MESSAGE_BYTES",
  "SAPPHIRE_LINKS_HUB", "SAPPHIRE_DIAGNOSTICS_ECHO", "SAPPHIRE_LOG_LEVEL", "SAPPHIRE_CHANNELS_X",
]

private func checkVariables(_ input: [UInt8]) {
  guard let text = String(validating: input, as: UTF8.self), !input.contains(0) else { return }
  let environment = Dictionary(uniqueKeysWithValues: variables.map { ($0, text) })
  let check = Configuration.check(
    file: "f", text: nil, environment: environment, channelTypes: types)
  for problem in check.problems {
    requirePlain(problem)
    if case .line(let line) = problem.place { fatalError("line \(line) of no file") }
  }
}
