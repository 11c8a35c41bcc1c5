"""The tables of refusals in docs/HTTP.md against the code that refuses."""
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def statuses():
    found = re.findall(r"static let `?(\w+)`? = HTTPStatus\((\d+)\)", read("Shared/HTTPCodec/HTTPStatus.swift"))
    assert len(found) > 25
    return {name: int(number) for name, number in found}


def arguments(text, start):
    """What stands between a parenthesis, which is at `start`, and its end."""
    depth = 0
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return text[start + 1:index]
    raise AssertionError(text[start:start + 80])


def made():
    """{(code, name): statuses} of every refusal that the gateway's sources write out."""
    known, found = statuses(), {}
    for path in glob.glob(os.path.join(ROOT, "Services", "Gateway", "Core", "**", "*.swift"), recursive=True):
        text = read(os.path.relpath(path, ROOT))
        for match in re.finditer(r"\bRefusal\(\s*(\d+), \"(\w+)\"", text):
            words = arguments(text, match.start() + len("Refusal"))
            codes = {known[name] for name in re.findall(r"\.(\w+)\b(?!\()", words) if name in known}
            codes |= {int(number) for number in re.findall(r"HTTPStatus\((\d+)\)", words)}
            found.setdefault((int(match[1]), match[2]), set()).update(codes)
    assert len(found) > 25
    return found


def listed():
    """{(code, name): statuses} of the table under *Errors*."""
    section = read("docs/HTTP.md").split("\n## Errors\n")[1].split("\n## ")[0]
    found = {}
    for code, names, codes in re.findall(r"^\| (\d+) \| (.+?) \| ([\d, ]+) \|", section, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            found.setdefault((int(code), name), set()).update(int(one) for one in codes.split(","))
    return found


def test_every_refusal_of_the_code_is_listed_with_its_statuses():
    table = listed()
    for refusal, codes in sorted(made().items()):
        assert refusal in table, f"{refusal} is missing in docs/HTTP.md under Errors"
        assert codes <= table[refusal], (refusal, codes - table[refusal])


def test_every_listed_refusal_is_one_of_the_code():
    code = made()
    assert not [refusal for refusal in listed() if refusal not in code]


def test_what_is_no_request_is_listed_with_its_status():
    source = read("Shared/HTTPCodec/HTTPError.swift")
    known = statuses()
    status = {}
    for cases, name in re.findall(r"case ([.\w, ]+): \.(\w+)$", source.split("public var status")[1].split("public var")[0],
                                  re.MULTILINE):
        status.update({case: known[name] for case in re.findall(r"\.(\w+)", cases)})
    reasons = dict(re.findall(r"case \.(\w+): \"(.*)\"$", source.split("public var reason")[1], re.MULTILINE))
    assert len(reasons) > 25
    # What only a client of ours can meet.
    for case in ("malformedStatusLine", "truncatedBody", "unwritableField"):
        reasons.pop(case)
    section = read("docs/HTTP.md").split("\n### What is no request\n")[1].split("\n## ")[0]
    table = {text: int(code) for code, texts in re.findall(r"^\| (\d+) \| (.+) \|$", section, re.MULTILINE)
             for text in texts.split(" · ")}
    assert table == {reason: status.get(case, 400) for case, reason in reasons.items()}
