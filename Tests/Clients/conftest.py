"""Fixtures: every test that asks for `sapphire` gets a whole platform of its own on a free port."""
import os
import subprocess
import sys

import pytest

sys.dont_write_bytecode = True

from browser import Browser  # noqa: E402
from platform_under_test import Sapphire, executables  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "configuration(text): the JSON5 that `sapphire up` gets; without it, none")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture
def sapphire(request):
    """All four services under `sapphire up`, stopped on every path; their log is shown on failure."""
    platform = Sapphire()
    marker = request.node.get_closest_marker("configuration")
    try:
        platform.start(marker.args[0] if marker else None)
        yield platform
    finally:
        platform.stop()
        if getattr(request.node, "failed", True):
            print(f"--- log of sapphire up\n{platform.log_tail()}", file=sys.stderr)
        platform.remove()


@pytest.fixture
def browser():
    """A headless Chromium of Debian, driven over its DevTools protocol."""
    chromium = Browser()
    try:
        yield chromium
    finally:
        chromium.close()


MEMBERS = """{ identity: { keyFiles: "%s", leeway: '0s' }, limits: { pingInterval: '1s', pongTimeout: '900ms' },
  channels: [ { match: "members:*", subscribe: "user:*", publish: "user:*", history: { size: 100 } },
              { match: "*", history: { size: 100 } } ] }"""


@pytest.fixture
def guarded(request, tmp_path):
    """A platform that knows tokens; `token(user)` makes one. With the parameter True everybody has to sign in."""
    keys = tmp_path / "tokens.jwks"
    platform = Sapphire()
    sapphire = os.path.join(executables(), "sapphire")
    subprocess.run([sapphire, "token", "key", str(keys)], check=True, capture_output=True)

    def token(user, *more):
        return subprocess.run([sapphire, "token", "make", "--key", str(keys), "--user", user, *more], check=True,
                              capture_output=True, text=True).stdout.strip()
    platform.token = token
    try:
        text = MEMBERS % keys
        platform.start(text.replace("identity: {", "identity: { required: true,") if getattr(request, "param", None) else text)
        yield platform
    finally:
        platform.stop()
        platform.remove()
