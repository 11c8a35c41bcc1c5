/// What one service answers another when it can't do what was asked.
///
/// 0 ok · 1–99 link and protocol · 100–199 passing, try again later · 200–299 refused, do not try
/// again · 1000 and up belongs to plugins. docs/PROTOCOL.md is generated from `table`.
public struct ErrorCode: Hashable, Sendable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let badFrame = ErrorCode(rawValue: 1)
  public static let versionMismatch = ErrorCode(rawValue: 2)
  public static let notAuthenticated = ErrorCode(rawValue: 3)
  public static let roleForbidden = ErrorCode(rawValue: 4)
  public static let unexpectedKind = ErrorCode(rawValue: 5)
  public static let linkLost = ErrorCode(rawValue: 6)
  public static let silent = ErrorCode(rawValue: 7)

  public static let overloaded = ErrorCode(rawValue: 100)
  public static let deadlineExceeded = ErrorCode(rawValue: 101)
  public static let unavailable = ErrorCode(rawValue: 102)
  public static let draining = ErrorCode(rawValue: 103)
  public static let outOfSpace = ErrorCode(rawValue: 104)

  public static let badRequest = ErrorCode(rawValue: 200)
  public static let unknownChannel = ErrorCode(rawValue: 201)
  public static let staleHandle = ErrorCode(rawValue: 202)
  public static let offsetConflict = ErrorCode(rawValue: 203)
  public static let idempotencyConflict = ErrorCode(rawValue: 204)
  public static let tooLarge = ErrorCode(rawValue: 205)
  public static let unrecoverable = ErrorCode(rawValue: 206)
  public static let corrupt = ErrorCode(rawValue: 207)
  public static let notFound = ErrorCode(rawValue: 208)
  public static let hashMismatch = ErrorCode(rawValue: 209)
  public static let fenced = ErrorCode(rawValue: 210)
  public static let limitReached = ErrorCode(rawValue: 211)
  public static let forbidden = ErrorCode(rawValue: 212)
  public static let noHistory = ErrorCode(rawValue: 213)
  public static let nameTaken = ErrorCode(rawValue: 214)
  public static let beyondHead = ErrorCode(rawValue: 215)
  public static let sequenceGap = ErrorCode(rawValue: 216)

  /// Every code of ours: its name in logs and answers, and the reason in one line.
  public static let table: [(code: ErrorCode, name: String, reason: String)] = [
    (badFrame, "bad_frame", "the bytes are no frame of this protocol"),
    (versionMismatch, "version_mismatch", "the two ends share no protocol version"),
    (notAuthenticated, "not_authenticated", "the peer did not prove who it is"),
    (roleForbidden, "role_forbidden", "the peer's role may not do this"),
    (unexpectedKind, "unexpected_kind", "this kind of frame has no place here"),
    (linkLost, "link_lost", "the connection to the service ended; the outcome is unknown"),
    (silent, "silent", "the peer has not been heard for three heartbeats"),
    (overloaded, "overloaded", "a bounded queue is full; try again later"),
    (deadlineExceeded, "deadline_exceeded", "no answer within the time given"),
    (unavailable, "unavailable", "a service that is needed can't be reached"),
    (draining, "draining", "the service is shutting down"),
    (outOfSpace, "out_of_space", "the disk is full"),
    (badRequest, "bad_request", "a field is missing or outside its range"),
    (unknownChannel, "unknown_channel", "the name is no channel"),
    (staleHandle, "stale_handle", "the channel number was closed"),
    (offsetConflict, "offset_conflict", "the stream is not at the expected offset"),
    (idempotencyConflict, "idempotency_conflict", "the key was used with another payload"),
    (tooLarge, "too_large", "the payload is over its limit"),
    (unrecoverable, "unrecoverable", "the history from that position is gone"),
    (corrupt, "corrupt", "a stored event fails its checksum and is not served"),
    (notFound, "not_found", "there is no such thing"),
    (hashMismatch, "hash_mismatch", "the content does not have the hash it was announced with"),
    (fenced, "fenced", "a newer incarnation has taken over"),
    (limitReached, "limit_reached", "a limit of the configuration is reached"),
    (forbidden, "forbidden", "the rights given do not include this"),
    (noHistory, "no_history", "the channel keeps no history"),
    (nameTaken, "name_taken", "another one has this name"),
    (beyondHead, "beyond_head", "the stream does not reach that offset"),
    (sequenceGap, "sequence_gap", "the producer's sequence number is not the next one"),
  ]

  public var name: String {
    Self.table.first { $0.code == self }?.name ?? "error_\(rawValue)"
  }

  public var reason: String {
    Self.table.first { $0.code == self }?.reason ?? "unknown error \(rawValue)"
  }

  /// Whether trying again later may succeed.
  public var isPassing: Bool { (100..<200).contains(rawValue) || self == .linkLost }
}
