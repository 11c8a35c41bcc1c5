/// Which publications a subscriber wants, by their tags: a tree of conditions, as the client sent
/// it. `CentrifugeTagCondition` says whether its words mean anything, and applies it.
public struct CentrifugeTagFilter: Sendable, Hashable {
  /// `and`, `or` or `not` over `nodes`; empty for a comparison.
  public var op = ""
  /// The tag that is compared.
  public var key = ""
  /// `eq neq in nin ex nex sw ew ct gt gte lt lte`
  public var cmp = ""
  public var val = ""
  /// What `in` and `nin` compare with.
  public var vals: [String] = []
  public var nodes: [CentrifugeTagFilter] = []
  public init() {}
}

extension CentrifugeTagFilter: Message {
  enum Field: UInt32, MessageField {
    case op = 1
    case key = 2
    case cmp = 3
    case val = 4
    case vals = 5
    case nodes = 6

    var name: String {
      switch self {
      case .op: "op"
      case .key: "key"
      case .cmp: "cmp"
      case .val: "val"
      case .vals: "vals"
      case .nodes: "nodes"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.op, op)
    out.text(Field.key, key)
    out.text(Field.cmp, cmp)
    out.text(Field.val, val)
    out.texts(Field.vals, vals)
    out.messages(Field.nodes, nodes)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .op: op = try value.text(s)
    case .key: key = try value.text(s)
    case .cmp: cmp = try value.text(s)
    case .val: val = try value.text(s)
    case .vals: try value.texts(&vals, s)
    case .nodes: try value.messages(&nodes, s)
    }
  }
}
