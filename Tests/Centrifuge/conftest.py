"""A platform for each file of tests, and clients of centrifuge-python that end with their test."""
import asyncio
import os
import sys

import pytest

sys.dont_write_bytecode = True

import signing  # noqa: E402
from people import Person  # noqa: E402
from platform_under_test import Sapphire  # noqa: E402

RULES = """
  { match: "kept:*", history: { durable: true }, subscribe: "anonymous", publish: "anonymous" },
  { match: "short:*", history: { size: 2 }, subscribe: "anonymous", publish: "anonymous" },
  { match: "plain:*", subscribe: "anonymous", publish: "anonymous" },
  { match: "members:*", history: { size: 10 }, subscribe: "user:*", publish: "user:*" },
  { match: "hidden:*", history: { size: 10 }, subscribe: "none", publish: "none" },
  { match: "*", history: { size: 100 }, subscribe: "anonymous", publish: "anonymous" },
"""


@pytest.fixture(scope="module")
def sapphire(tmp_path_factory, request):
    """All four services; whoever has a token of `signing` is signed in, the others are anonymous. A file may add to the
    configuration with `SECTIONS`, and to its rules with `RULES`."""
    keys = signing.key_file(str(tmp_path_factory.mktemp("keys")))
    platform = Sapphire()
    platform.configuration = (
        f'{{ identity: {{ keyFiles: "{keys}", leeway: "0s", connectTimeout: "1s" }}, gateway: {{ loops: 2 }}, '
        f'{getattr(request.module, "SECTIONS", "")} limits: {{ pingInterval: "1s", pongTimeout: "900ms" }}, '
        f'channels: [{getattr(request.module, "RULES", "")} {RULES}] }}')
    try:
        platform.start(platform.configuration)
        yield platform
    finally:
        platform.stop()
        print(f"--- log of sapphire up\n{platform.log_tail()}", file=sys.stderr)
        platform.remove()


CODECS = ["json", "protobuf"]


def pytest_generate_tests(metafunc):
    """Both codecs for every test that speaks one; what waits for clocks has one of them, both with LONG=1."""
    if "codec" not in metafunc.fixturenames:
        return
    waits = metafunc.definition.get_closest_marker("waits") and os.environ.get("LONG") != "1"
    metafunc.parametrize("codec", CODECS[1:] if waits else CODECS)


def pytest_configure(config):
    config.addinivalue_line("markers", "waits: for clocks, which tick alike for both codecs")


@pytest.fixture
def people(sapphire, codec):
    """`people(body)` runs `body(person)`, where `person(**options)` makes clients; they leave with it."""
    def run(body, seconds=20):
        async def bounded():
            made = []

            def person(**options):
                made.append(Person(sapphire, options.pop("codec", codec), **options))
                return made[-1]
            try:
                return await asyncio.wait_for(body(person), seconds)
            finally:
                for client in made:
                    await client.disconnect()
        return asyncio.run(bounded())
    return run
