"""Requests that two readers could take for different ones (rows 77 to 79), generated.

Each case is what a client sends on one connection. Where a careless reader would find a second request, that one
carries the id `HIDDEN`; the client never sent it as a request of its own. `GOOD` cases are whole and unambiguous by
the standard, however odd, and one reader must take them for exactly one request (the same for all).
"""

SECOND = "GET /live HTTP/1.1\r\nHost: {host}\r\nX-Request-Id: {hidden}\r\n\r\n"


def post(fields, body, version="1.1", target="/api/info", host="Host: {host}"):
    """A request whose fields are `fields`; `host` is the line of that name."""
    lines = [f"POST {target} HTTP/{version}", host, "X-Request-Id: {id}", "X-API-Key: {key}", *fields]
    return "\r\n".join(line for line in lines if line is not None) + "\r\n\r\n" + body


def get(fields, target="/live", host="Host: {host}", version="HTTP/1.1", method="GET", gap=" "):
    lines = [f"{method}{gap}{target}{gap}{version}", host, "X-Request-Id: {id}", *fields]
    return "\r\n".join(line for line in lines if line is not None) + "\r\n\r\n"


def framings():
    """Two lengths in one message. Every first reading ends before the hidden request, every second behind it."""
    chunked = "0\r\n\r\n" + SECOND
    lengths = ["{all}", "0", "+{all}", "-1", "{all},{all}", "{all}, 0", "0x10", "1e1", " {all} 1", "", "{all}.0", "٣",
               "00000000000000000000000000000000{all}a", "99999999999999999999", "18446744073709551617"]
    codings = ["chunked", "xchunked", "chunkedx", "chunked, identity", "identity, chunked", "chunked;a=b", "\tchunked",
               "\"chunked\"", "chunked,", ",chunked", "gzip, chunked", "chunked, chunked", "identity", "CHUNKED",
               "chunked\x0b", "\x0bchunked", "chunked\x00", "cow", "chun\tked", "", "chunked identity", "x-chunked",
               "deflate"]
    for length in lengths[:2]:
        for coding in codings:
            yield f"length {length!r}, coding {coding!r}", post(
                [f"Content-Length: {length}", f"Transfer-Encoding: {coding}"], chunked)
            yield f"coding {coding!r}, length {length!r}", post(
                [f"Transfer-Encoding: {coding}", f"Content-Length: {length}"], chunked)
    for coding in codings:
        if coding not in ("chunked", "CHUNKED", "\tchunked"):
            yield f"coding {coding!r} alone", post([f"Transfer-Encoding: {coding}"], chunked)
    yield "coding twice", post(["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], chunked)
    yield "coding twice, differing", post(["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], chunked)
    yield "coding in HTTP/1.0", post(["Transfer-Encoding: chunked"], chunked, version="1.0")
    for length in lengths[2:]:
        yield f"length {length!r}", post([f"Content-Length: {length}"], SECOND)
    for first, second in (("0", "{all}"), ("{all}", "0"), ("{all}", "{all}"), ("5", "6")):
        yield f"lengths {first!r} and {second!r}", post([f"Content-Length: {first}", f"Content-Length: {second}"], SECOND)
        yield f"lengths {first!r} and {second!r}, in two cases", post(
            [f"Content-Length: {first}", f"content-length: {second}"], SECOND)


def names():
    """A framing field whose name is not quite one."""
    for name in ("Content-Length ", "Content-Length\t", " Content-Length", "Content-Length\x00", "Content-Length\x0b",
                 "Content Length", "\x00Content-Length", "Content-Length:", "Content-Length\r", "Content-Length;"):
        yield f"name {name!r}", post([f"{name}: {{all}}"], SECOND)
    for name in ("Transfer-Encoding ", "Transfer-Encoding\t", " Transfer-Encoding", "Transfer-Encoding\x00",
                 "Transfer-Encoding\x0b", "Transfer\x00-Encoding", "Transfer-Encoding\r"):
        yield f"name {name!r}", post([f"{name}: chunked", "Content-Length: {all}"], "0\r\n\r\n" + SECOND)
    for fold in ("X: y\r\n Transfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: x\r\n\tchunked",
                 "Content-Length: 0\r\n 1"):
        yield f"folded {fold!r}", post([fold], "0\r\n\r\n" + SECOND)
    for line in ("Transfer-Encoding: chunked\nX: y", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
                 "X: y\n\nGET /live HTTP/1.1\nHost: {host}\nX-Request-Id: {hidden}\n"):
        yield f"line ends {line!r}", post([line], "0\r\n\r\n" + SECOND)
    for line in ("nocolon", ": novalue", "X: a\x00b", "X: a\x01b", "X: a\x7fb", "\x00: x", "X\x80: y", "(X): y", "X{{}}: y"):
        yield f"field {line!r}", get([line])


def chunks():
    """Chunked bodies that are not: what is counted and what is taken for the line differ."""
    for size in ("+0", "-0", "0x0", " 0", "0 ", "0\t", "", "g", "0;\n", "0\n", "0\r", "0;a\nb", "0;a\rb", "FFFFFFFFFFFFFFFFF0",
                 "10000000000000000", "0,0", "0_0", "0\x00", "0;" + "x" * 5000):
        yield f"size {size[:12]!r}", post(["Transfer-Encoding: chunked"], f"{size}\r\n\r\n" + SECOND)
    for body in ("3\r\nabc0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\nabc\n0\n\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r0\r\n\r\n",
                 "2\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nX\r\n\r\n", "3\r\nabc\r\n0\r\n X: y\r\n\r\n",
                 "3\r\nabc\r\n0\r\nX: y\n\r\n", "3\r\nabc\r\n0\r\nX : y\r\n\r\n", "3;\n\r\nabc\r\n0\r\n\r\n", "3;a\"\r\nabc\r\n0\r\n\n",
                 "3\r\n\nabc\r\n0\r\n\r\n", "03 \r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\n\r\n", "3\r\nabc\r\n0\r\nX: \x00\r\n\r\n"):
        yield f"body {body!r}", post(["Transfer-Encoding: chunked"], body + SECOND)


def lines():
    """Request lines, hosts and targets that two readers could see differently."""
    for host in (None, "Host:", "Host: a b", "Host: {host}\r\nHost: {host}", "Host: {host}\r\nhost: evil.example",
                 "Host: {host}, evil.example", "Host: {host}/path", "Host: {host}:99999", "Host: user@{host}", "Host: {host}#x",
                 "Host : {host}", "Host: [::1", "Host: {host}:", "Host: evil.example\x00{host}", "Host: {host}%00", "Host: {host}\\"):
        yield f"host {host!r}", get([], host=host)
    for target in ("http://evil.example/live", "http://evil.example:80/", "https://{host}@evil.example/", "live", "*", "/li ve", "/live\tx", "/live\x00", "/../live", "/%2e%2e/live", 
                   "/live#x", "/live\\x", "/%", "/%zz", "/%00", "/\x80", "http://", "http:///live", "HTTP:/live", "/<x>", '/"x"'):
        yield f"target {target!r}", get([], target=target)
    for version in ("HTTP/1.2", "HTTP/2.0", "HTTP/1", "HTTP/1.1.1", "HTTP/01.1", "http/1.1", "HTTP /1.1", "HTTP/1.1 ", "HTTP/1.1x",
                    "", "HTTP/1,1", "ICY/1.1", "HTTP/1.\x00", "HTTP/ 1.1"):
        yield f"version {version!r}", get([], version=version)
    for method in ("get", "GE T", "GET\x00", "G\tET", "(GET)", "", "GET,", "\x16\x03\x01", "PRI"):
        yield f"method {method!r}", get([], method=method)
    for gap in ("  ", "\t", "\x0b", "\xa0"):
        yield f"gap {gap!r}", get([], gap=gap)
    yield "HTTP/0.9", "GET /live\r\n\r\n"
    yield "an empty line first", "\r\n\r\n \r\n" + get([])
    yield "a line feed alone ends lines", get([]).replace("\r\n", "\n")
    yield "carriage returns alone", get([]).replace("\r\n", "\r")
    yield "HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def upgrades():
    """Row 78: upgrades that are none."""
    good = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}

    def fields(**changed):
        return [f"{name}: {value}" for name, value in {**good, **changed}.items() if value is not None]
    for name in ("Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"):
        yield f"upgrade without {name}", get(fields(**{name: None}), target="/ws/echo") + SECOND
    for name, value in (("Sec-WebSocket-Version", "12"), ("Sec-WebSocket-Version", "13, 12"), ("Sec-WebSocket-Key", "short"),
                        ("Sec-WebSocket-Key", ""), ("Upgrade", "h2c"), ("Upgrade", "websocketx")):
        yield f"upgrade with {name} {value!r}", get(fields(**{name: value}), target="/ws/echo") + SECOND
    yield "upgrade by POST", get(fields(), target="/ws/echo", method="POST") + SECOND
    yield "upgrade in HTTP/1.0", get(fields(), target="/ws/echo", version="HTTP/1.0") + SECOND
    yield "upgrade with a length", get([*fields(), "Content-Length: {all}"], target="/ws/echo") + SECOND
    yield "upgrade with chunks", get([*fields(), "Transfer-Encoding: chunked"], target="/ws/echo") + "0\r\n\r\n" + SECOND


def masses():
    """Row 79."""
    yield "2,000 fields", get([f"X-{n}: y" for n in range(2000)])
    yield "10,000 tiny fields", get(["a:"] * 10_000)
    yield "a field of 1 MB", get(["X: " + "y" * 1_000_000])
    yield "a name of 1 MB", get(["X" * 1_000_000 + ": y"])
    yield "an address of 1 MB", get([], target="/" + "x" * 1_000_000)
    yield "a method of 1 MB", get([], method="X" * 1_000_000)


def good():
    """Odd and right: one request, and what stands in its body is nobody's request."""
    for fields in (["Content-Length: {all}"], ["content-length:{all}"], ["CONTENT-LENGTH: \t{all}\t "], ["Content-Length: 000{all}"]):
        yield f"body of {fields}", post(fields, SECOND)
    for fields in (["Transfer-Encoding: chunked"], ["transfer-encoding:CHUNKED"], ["Transfer-Encoding: \tchunked \t"]):
        for size in ("{hex}", "000{hex}", "{HEX};a=b", '{hex};a="b;c"'):
            yield f"chunks of {fields}, {size}", post(fields, size + "\r\n" + SECOND + "\r\n0\r\n\r\n")
    yield "trailers", post(["Transfer-Encoding: chunked"], "{hex}\r\n" + SECOND + "\r\n0\r\nContent-Length: 5\r\nHost: x\r\n\r\n")


BAD = {name: text for family in (framings, names, chunks, lines, upgrades, masses) for name, text in family()}
GOOD = dict(good())


def request(text, host, key, own, hidden):
    """The bytes of a case: `own` is the request's id, `hidden` that of the one that nobody sent."""
    second = SECOND.replace("{host}", host).replace("{hidden}", hidden)
    count = len(second)
    behind = text.partition("\r\n\r\n")[2].replace("{host}", host).replace("{hidden}", hidden)
    text = text.replace("{all}", str(len(behind.encode())) if "{hex}" not in text.lower() else str(count))
    for mark, value in (("{host}", host), ("{hidden}", hidden), ("{id}", own), ("{key}", key), ("{hex}", f"{count:x}"), ("{HEX}", f"{count:X}")):
        text = text.replace(mark, value)
    return text.replace("{{", "{").replace("}}", "}").encode("utf-8" if "٣" in text else "latin-1")
