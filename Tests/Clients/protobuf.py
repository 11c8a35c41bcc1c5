"""Messages of the Centrifuge protocol as Protobuf, by the published field numbers; as far as the tests here say them.

A message is a dictionary, as it is in the protocol's JSON; payloads are bytes.
"""
UINT, BOOL, TEXT, BYTES = "uint", "bool", "text", "bytes"

INFO = {"user": (1, TEXT), "client": (2, TEXT)}
PUBLICATION = {"data": (4, BYTES), "info": (5, INFO), "offset": (6, UINT), "time": (9, UINT)}
COMMAND = {
    "id": (1, UINT), "connect": (4, {"token": (1, TEXT)}),
    "subscribe": (5, {"channel": (1, TEXT), "recover": (3, BOOL), "epoch": (6, TEXT), "offset": (7, UINT),
                      "join_leave": (11, BOOL)}),
    "publish": (7, {"channel": (1, TEXT), "data": (2, BYTES)}), "presence": (8, {"channel": (1, TEXT)}),
}
REPLY = {
    "id": (1, UINT), "error": (2, {"code": (1, UINT), "message": (2, TEXT)}),
    "push": (4, {
        "channel": (2, TEXT), "pub": (4, PUBLICATION), "join": (5, {"info": (1, INFO)}), "leave": (6, {"info": (1, INFO)}),
        "unsubscribe": (7, {"code": (2, UINT), "reason": (3, TEXT)}),
        "disconnect": (11, {"code": (1, UINT), "reason": (2, TEXT), "reconnect": (3, BOOL)})}),
    "connect": (5, {"client": (1, TEXT), "ping": (7, UINT), "pong": (8, BOOL), "session": (9, TEXT), "node": (10, TEXT)}),
    "subscribe": (6, {"recoverable": (3, BOOL), "epoch": (6, TEXT), "publications": (7, [PUBLICATION]), "recovered": (8, BOOL),
                      "offset": (9, UINT), "was_recovering": (12, BOOL)}),
    "publish": (8, {}), "presence": (9, {"presence": (1, (TEXT, INFO))}),
}


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def encode(message, fields):
    """proto3: what has its default value isn't written."""
    out = b""
    for name, value in message.items():
        number, kind = fields[name]
        if kind in (UINT, BOOL):
            out += varint(number << 3) + varint(int(value)) if value else b""
            continue
        data = value.encode() if kind == TEXT else value if kind == BYTES else encode(value, kind)
        if data or isinstance(kind, dict):
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data, fields):
    """Fields that aren't known are passed over."""
    names = {number: (name, kind) for name, (number, kind) in fields.items()}
    message, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        name, kind = names.get(tag >> 3, (None, None))
        if tag & 7 == 0:
            value, at = read_varint(data, at)
            if name:
                message[name] = bool(value) if kind == BOOL else value
            continue
        assert tag & 7 == 2, f"a field of wire type {tag & 7}"
        length, at = read_varint(data, at)
        value, at = data[at:at + length], at + length
        if name:
            _keep(message, name, kind, value)
    return message


def _keep(message, name, kind, value):
    if kind == BYTES:
        message[name] = value
    elif kind == TEXT:
        message[name] = value.decode()
    elif isinstance(kind, list):
        message.setdefault(name, []).append(decode(value, kind[0]))
    elif isinstance(kind, tuple):
        entry = decode(value, {"key": (1, kind[0]), "value": (2, kind[1])})
        message.setdefault(name, {})[entry.get("key", "")] = entry.get("value", {})
    else:
        message[name] = decode(value, kind)


def frame(messages, fields):
    """Messages behind each other, each behind its length."""
    encoded = (encode(message, fields) for message in messages)
    return b"".join(varint(len(data)) + data for data in encoded)


def unframe(data, fields):
    messages, at = [], 0
    while at < len(data):
        length, at = read_varint(data, at)
        messages.append(decode(data[at:at + length], fields))
        at += length
    return messages
