/// Payloads, channel names and offsets come with the kit, so that a plugin imports it alone.
@_exported public import Bytes
