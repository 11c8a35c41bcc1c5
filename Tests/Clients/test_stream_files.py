"""Streams as files: exported, verified without a server, imported elsewhere."""
import asyncio
import base64
import json
import os
import subprocess

import pytest

from platform_under_test import executables, next_of, running, within

CONFIGURATION = """{ channels: [
  { match: "log:*", type: "relay", history: { durable: true } }, { match: "*", type: "relay" },
] }"""


@pytest.fixture(scope="module")
def here():
    with running(CONFIGURATION) as platform:
        yield platform


@pytest.fixture(scope="module")
def elsewhere():
    with running(CONFIGURATION) as platform:
        yield platform


def done(platform, method, **parameters):
    status, _, answer = platform.post(f"/api/{method}", parameters, platform.key)
    assert status == 200 and "result" in answer, (method, parameters, status, answer)
    return answer["result"]


def refused(platform, method, **parameters):
    _, _, answer = platform.post(f"/api/{method}", parameters, platform.key)
    return answer["error"]["code"]


def history(platform, channel, **parameters):
    return done(platform, "history", channel=channel, limit=-1, **parameters)["publications"]


def stream(platform, channel):
    return next((s for s in done(platform, "streams", prefix=channel)["streams"] if s["channel"] == channel), None)


def command(platform, *words, code=0):
    """`sapphire stream …`, with a server or without one."""
    environment = dict(os.environ, HOME="/nonexistent")
    if platform:
        environment.update(SAPPHIRE_DATA=platform.data, SAPPHIRE_URL=platform.url)
    ran = subprocess.run([os.path.join(executables(), "sapphire"), "stream", *words], capture_output=True, timeout=60,
                         env=environment, cwd="/")
    assert ran.returncode == code, (words, ran.returncode, ran.stderr[-2000:])
    return ran


def fill(platform, channel):
    """One of everything that the API takes, and more than a page of it."""
    body = b'{"channel":"%s","data":{"a": [1,  2.50],\n "b":"\\u00e9"}}' % channel.encode()
    platform.post("/api/publish", body, platform.key)
    done(platform, "publish", channel=channel, data="two\nlines", tags={"kind": "note"})
    done(platform, "publish", channel=channel, b64data=base64.b64encode(bytes(range(256))).decode())
    for number in range(0, 400, 50):
        commands = [{"publish": {"channel": channel, "data": {"n": n}}} for n in range(number, number + 50)]
        status, _, answer = platform.post("/api/batch", {"commands": commands}, platform.key)
        assert status == 200 and all("error" not in reply for reply in answer["replies"])


@pytest.mark.parametrize("format", ["ndjson", "cloudevents"])
def test_an_export_is_verified_offline_and_imported_as_the_same_stream(here, elsewhere, tmp_path, format):
    channel, file = f"log:whole:{format}", str(tmp_path / "a.ndjson")
    fill(here, channel)
    told = json.loads(command(here, "export", channel, "--format", format, "-o", file, "--json").stdout)
    assert (told["events"], told["first"], told["last"]) == (403, 1, 403)
    assert told["sha256"] == stream(here, channel)["sha256"] and not list(tmp_path.glob("*.part"))
    assert [told["sha256"]] == [json.loads(line)["sha256"] for line in
                                command(None, "verify", file, "--json").stdout.splitlines()]
    # Each line is JSON to anyone, and CloudEvents are what that says.
    lines = [json.loads(line) for line in open(file)]
    assert len(lines) == 405
    if format == "cloudevents":
        assert all({"specversion", "id", "source", "type"} <= line.keys() for line in lines)
        assert lines[10]["data"] == {"n": 6} and lines[10]["offset"] == "10" and lines[10]["time"].endswith("Z")
        assert base64.b64decode(lines[3]["data_base64"]) == bytes(range(256))
    # To standard output it is the same.
    assert command(here, "export", channel, "--format", format).stdout == open(file, "rb").read()

    imported = json.loads(command(elsewhere, "import", file, "--json").stdout)
    assert imported["sha256"] == told["sha256"] == stream(elsewhere, channel)["sha256"]
    for parameters in ({}, {"reverse": True}, {"exact": True}):
        assert history(here, channel, **parameters) == history(elsewhere, channel, **parameters)
    command(elsewhere, "verify", file, "--live")
    # It goes on as any stream: what the file has is still what is there, and nobody else's name is taken.
    assert elsewhere.publish(channel, "more")["offset"] == 404
    command(elsewhere, "verify", file, "--live")
    assert b"there is a stream" in command(elsewhere, "import", file, code=1).stderr
    command(elsewhere, "import", file, "--as", channel + ":again")
    assert stream(elsewhere, channel + ":again")["sha256"] == told["sha256"]


def test_a_part_of_a_stream_and_a_fork_have_their_chains_too(here, elsewhere, tmp_path):
    fill(here, "log:part")
    done(here, "stream_fork", channel="log:part", fork="log:part@f", at=100)
    here.publish("log:part@f", "own")
    done(here, "stream_trim", channel="log:part", through=50)
    file = str(tmp_path / "part.ndjson")
    command(here, "export", "log:part", "--from", "200", "--to", "300", "-o", file)
    command(here, "verify", file, "--live")
    command(elsewhere, "import", file, "--as", "log:part:mid")
    assert stream(elsewhere, "log:part:mid")["floor"] == 199
    assert history(elsewhere, "log:part:mid") == [e for e in history(here, "log:part", since=None)
                                                  if 200 <= e["offset"] <= 300][:300]
    # All with a prefix in one file: the stream from its floor on, and the fork with what they share.
    command(here, "export", "log:part*", "-o", file)
    told = [json.loads(line) for line in command(None, "verify", file, "--json").stdout.splitlines()]
    assert [(t["channel"], t["first"], t["last"]) for t in told] == [("log:part", 51, 403), ("log:part@f", 1, 101)]
    command(elsewhere, "import", file)
    for channel in ("log:part", "log:part@f"):
        assert history(elsewhere, channel) == history(here, channel)
        assert stream(elsewhere, channel)["sha256"] == stream(here, channel)["sha256"]
    for words in (["log:part", "--from", "404", "--to", "403"], ["log:part", "--from", "500"], ["log:none"]):
        command(here, "export", *words, "-o", str(tmp_path / "none"), code=1)
    assert os.listdir(tmp_path) == ["part.ndjson"]
    # What was trimmed up to its head has an end and no events.
    done(here, "stream_trim", channel="log:part")
    command(here, "export", "log:part", "-o", file)
    assert json.loads(command(elsewhere, "import", file, "--as", "log:part:none", "--json").stdout)["events"] == 0
    assert stream(elsewhere, "log:part:none")["floor"] == stream(elsewhere, "log:part:none")["offset"] == 403


def test_what_was_changed_is_named_and_nothing_of_it_is_imported(here, elsewhere, tmp_path):
    fill(here, "log:tampered")
    file, bad = str(tmp_path / "a.ndjson"), str(tmp_path / "bad.ndjson")
    command(here, "export", "log:tampered", "-o", file)
    lines = open(file, "rb").read().splitlines(keepends=True)
    changes = {
        "changed": lines[:300] + [lines[300].replace(b'"n":296', b'"n":297')] + lines[301:],
        "removed": lines[:300] + lines[301:],
        "twice": lines[:300] + [lines[299]] + lines[300:],
        "moved": lines[:300] + [lines[301], lines[300]] + lines[302:],
        "cut": lines[:300],
        "torn": lines[:300] + [lines[300][:20]],
    }
    for what, changed in changes.items():
        assert changed != lines, what
        open(bad, "wb").write(b"".join(changed))
        told = json.loads(command(None, "verify", bad, "--json", code=65).stdout)
        assert (told["ok"], told["line"], told["offset"]) == (False, 301, 300), (what, told)
        assert b"line 301, offset 300" in command(None, "verify", bad, code=65).stderr
        command(elsewhere, "import", bad, code=65)
    assert done(elsewhere, "streams", prefix="log:tampered")["streams"] == []
    # Made anew from the beginning it is whole in itself: only a note or the store tells.
    noted = stream(here, "log:tampered")["sha256"]
    done(here, "publish", channel="log:forged", data=1)
    command(here, "export", "log:forged", "-o", bad)
    command(None, "verify", bad)
    command(None, "verify", bad, "--sha256", noted, code=65)
    command(None, "verify", file, "--sha256", noted)
    done(here, "stream_delete", channel="log:forged")
    done(here, "publish", channel="log:forged", data=1)
    command(here, "verify", bad, "--live", code=65)


def test_steps_of_an_import_are_checked(here):
    zeros, event = "00" * 32, {"offset": 1, "time": 5, "kind": "text", "data": "x"}
    assert refused(here, "stream_import") == 107
    assert refused(here, "stream_import", begin={"channel": "plain", "first": 1, "chain": zeros}) == 108
    assert refused(here, "stream_import", begin={"channel": "log:i", "first": 0, "chain": zeros}) == 107
    assert refused(here, "stream_import", begin={"channel": "log:i", "first": 1, "chain": "00"}) == 107
    begun = done(here, "stream_import", begin={"channel": "log:i", "first": 1, "chain": zeros})
    number = begun["import"]
    assert begun["next"] == 1
    assert refused(here, "stream_import", **{"import": "1", "events": [event]}) == 156
    for events in ([], [{}], [{**event, "more": 1}], [{**event, "offset": 2}], [event, event], "x"):
        assert refused(here, "stream_import", **{"import": number, "events": events}) == 107, events
    assert done(here, "stream_import", **{"import": number, "events": [event]})["next"] == 2
    assert stream(here, "log:i") is None
    assert refused(here, "stream_import", **{"import": number, "finish": {"last": 1, "chain": zeros}}) == 157
    assert refused(here, "stream_import", **{"import": number, "finish": {"last": 1, "chain": zeros}}) == 156
    assert stream(here, "log:i") is None
    # A key that may do less may not do this.
    done(here, "publish", channel="log:i", data=1)
    assert refused(here, "stream_import", begin={"channel": "log:i", "first": 1, "chain": zeros}) == 162


def test_who_waits_at_the_name_and_who_comes_later_are_given_what_was_imported(here, elsewhere, tmp_path):
    for number in range(3):
        here.publish("log:watched", f"n{number}")
    file = str(tmp_path / "a.ndjson")
    command(here, "export", "log:watched", "-o", file)

    async def watch():
        async with elsewhere.socket("/ws?channel=log:watched&since=start") as early:
            await next_of(early, "connection")
            await asyncio.to_thread(command, elsewhere, "import", file)
            waited = [(await next_of(early, "envelope"))["data"] for _ in range(3)]
            async with elsewhere.socket("/ws?channel=log:watched&since=start") as late:
                seen = [(await next_of(late, "envelope"))["data"] for _ in range(3)]
                elsewhere.publish("log:watched", "n3")
                seen.append((await next_of(late, "envelope"))["data"])
                return seen, [*waited, (await next_of(early, "envelope"))["data"]]
    late, early = within(30, watch())
    assert late == early == ["n0", "n1", "n2", "n3"]
