"""A disk that fails every write: what clients and the operator see, and that it ends well (row 8)."""
import os
import re
import subprocess
import sys

import pytest

from platform_under_test import ROOT, Sapphire, eventually


@pytest.fixture
def failing_disk(tmp_path):
    """A platform whose event store meets EIO at every write and sync while the file `tmp_path/broken` exists."""
    platform, shim = Sapphire(), tmp_path / "faults.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", shim, os.path.join(ROOT, "Tests/Crash/rec.c"), "-ldl"],
                   check=True)
    try:
        platform.start(environment={
            "LD_PRELOAD": str(shim), "FAULT_WHILE": str(tmp_path / "broken"),
            "REC_ROOT": os.path.join(platform.data, "eventstore")})
        yield platform, tmp_path / "broken"
    finally:
        platform.stop()
        print(f"--- log of sapphire up\n{platform.log_tail()}", file=sys.stderr)
        platform.remove()


def test_a_disk_that_fails_for_ever_costs_durable_publishing_alone_until_it_works_again(failing_disk):
    sapphire, broken = failing_disk

    def publish(channel, key):
        return sapphire.post("/api/publish", {"channel": channel, "data": key, "idempotency_key": key}, sapphire.key)

    assert publish("log:d", "before")[0] == 200
    broken.touch()
    # What was under way may or may not be there; from then on it is said that nothing was done.
    assert publish("log:d", "during")[0] in (503, 504)

    def refused():
        status, headers, answer = publish("log:d", "during")
        return status == 503 and int(headers["Retry-After"]) >= 1 and answer["error"]["name"] == "store_unavailable"

    eventually(5, "503 for what must not be lost", refused)

    def delays():
        with open(sapphire.log) as log:
            return [int(ms) for ms in re.findall(r"eventstore .*; starting it again in (\d+) ms", log.read())]

    seen = eventually(15, "four starts that failed", lambda: delays() if len(delays()) >= 4 else None)
    assert seen[0] <= 100 and seen == sorted(seen) and seen[3] >= 4 * seen[0], seen
    # What health finds out is kept for a second.
    eventually(3, "health that says so", lambda: sapphire.get("/health")[0] == 503)
    assert publish("live:x", "passing")[0] == 200
    assert publish("log:d", "during")[0] == 503

    broken.unlink()
    eventually(20, "the disk works", lambda: publish("log:d", "during")[0] == 200)
    # Another loop of the gateway may still be finding its way back to the store.
    again = eventually(5, "an answer", lambda: publish("log:d", "during")[2].get("result"))
    assert again["duplicate"] is True

    def history():
        return sapphire.post("/api/history", {"channel": "log:d", "limit": 10}, sapphire.key)[2].get("result")

    stored = eventually(5, "a history", history)
    assert [event["data"] for event in stored["publications"]] == ["before", "during"]
