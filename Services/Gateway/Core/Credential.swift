/// What a client shows to say who it is. Printing it prints nothing of it.
enum Credential: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  case token(String)
  case ticket(String)

  var description: String { "(a credential)" }
  var debugDescription: String { description }
  var customMirror: Mirror { Mirror(self, children: []) }
}
