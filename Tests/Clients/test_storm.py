"""A gateway dies and all its clients are back at another at once: reliability row 76."""
import os
import ssl

import pytest

from platform_under_test import Sapphire
from storm import faults, storm

LONG = os.environ.get("LONG") == "1"


@pytest.mark.parametrize("tls,clients", [(False, 10_000 if LONG else 500), (True, 5_000 if LONG else 200)],
                         ids=["plain", "tls"])
def test_who_lost_a_gateway_goes_on_at_another_where_it_was(tls, clients):
    platform = Sapphire()
    try:
        platform.start(options=["--tls"] if tls else [])
        if tls:
            platform.context = ssl.create_default_context(
                cafile=os.path.join(platform.data, "tls", "certificate.pem"))
        report = storm(platform, clients, clients // 10, max(5, clients // 100), rate=50, steady=2 if LONG else 0.3)
        print(report)
        assert report["returned"] == clients and not faults(report), (faults(report), report)
    finally:
        platform.stop()
        platform.remove()
