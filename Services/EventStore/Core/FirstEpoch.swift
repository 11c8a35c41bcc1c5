internal import Bytes
internal import Crypto

/// The epoch that a stream begins with: it has one before anything stands in it, so that whoever waits
/// at an empty one can say where he is.
///
/// It follows from the store and the name. So nothing has to be written for a stream that is only
/// looked at, and no crash can come between an epoch that was told and the first event under it. What
/// it follows from is replaced with all epochs where a loss is accepted (`OpenedStore.renewEpochs`):
/// a stream whose beginning was lost begins anew in another epoch. Pure.
enum FirstEpoch {
  /// - Parameter store: `StoreState.store`.
  static func of(_ stream: ChannelName, in store: UInt64) -> Epoch {
    var writer = ByteWriter(reserving: 288)
    writer.u64(store)
    writer.text16(stream.text)
    let digest = SHA256.digest(writer.bytes)
    func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    return Epoch(random: (word(digest[0..<8]), word(digest[8..<16])))
  }
}
