internal import SQLite

/// Why a store did not open, or can't go on.
///
/// None of these is for a client: the process that gets one says so and ends with `exitCode`.
public enum StoreFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// Another process has this directory open.
  case inUse(directory: String, owner: String)
  /// The directory or a file in it can't be created, read or written.
  case files(String)
  /// The database is damaged, or no database of ours.
  case damaged(String)
  /// The database is of a later format than this program knows.
  case newerFormat(found: Int64, known: Int64)
  /// What was acknowledged and what the database holds differ: see `HeadMarkRefusal`.
  case behindHeadMark(HeadMarkRefusal)
  /// A write, sync or commit failed: what it was about is unknown, and only a restart finds out.
  case mustExit(String)
  /// A call after `mustExit`.
  case poisoned

  /// Exit codes after sysexits.h: 65 data damaged, 73 can't create, 74 input or output failed,
  /// 75 try again later.
  public var exitCode: Int32 {
    switch self {
    case .inUse: 75
    case .files: 73
    case .damaged, .newerFormat, .behindHeadMark: 65
    case .mustExit, .poisoned: 74
    }
  }

  public var description: String {
    switch self {
    case .inUse(let directory, let owner):
      "another event store has \(directory) open (\(owner)); stop it, or use another directory"
    case .files(let reason): reason
    case .damaged(let reason): "the database is damaged: \(reason); restore it from a backup"
    case .newerFormat(let found, let known):
      "the database has format \(found), this program knows up to \(known); use a newer program"
    case .behindHeadMark(let refusal): refusal.description
    case .mustExit(let reason): "stopping, since what was written is unknown: \(reason)"
    case .poisoned: "the store has stopped after a failed write"
    }
  }

  static func stop(_ error: SQLiteError) -> StoreFailure { .mustExit(error.description) }
}
