/// What a peer did that ends its Socket.IO connection.
///
/// Holds nothing of what was sent, so that it can be logged.
public enum SocketError: Error, Hashable, Sendable {
  case emptyPacket
  case unknownPacketType(UInt8)
  /// Where the number of attachments has to be, there is no number.
  case invalidAttachmentCount
  case tooManyAttachments
  case invalidNamespace
  /// Not a whole number of JavaScript's, or written with zeros in front.
  case invalidAckID
  /// An acknowledgement of nothing.
  case missingAckID
  /// An id on a packet that can't be acknowledged.
  case unexpectedAckID
  /// Not the JSON that a packet of its type holds.
  case invalidPayload
  case tooManyArguments
  /// An event without a name, or with one that is no string, no whole number, or too long.
  case invalidEventName
  case reservedEventName
  /// A placeholder that is not one, that names no attachment, or one that another named.
  case invalidPlaceholder
  /// Binary where no attachment is owed.
  case unexpectedBinary
  /// Text where an attachment is owed.
  case attachmentOwed
  /// Text and attachments together are more than one packet may be.
  case packetTooBig

  // What the connection refuses, whatever the packet looks like.

  /// A packet for a namespace that isn't connected, a second CONNECT to one that is, or a packet
  /// that only servers send.
  case unexpectedPacket
  /// An id that is still waiting for its acknowledgement.
  case ackIDInUse
  case tooManyUnanswered
  /// An attachment that was owed for too long.
  case attachmentTimeout
  /// No namespace was connected in time.
  case connectTimeout
}
