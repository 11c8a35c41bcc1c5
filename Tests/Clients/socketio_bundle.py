"""Socket.IO's JavaScript client as browsers load it: the bundle that PyPI's nicegui carries, fetched once into .build.
Other scripts that packages carry come the same way."""
import os
import subprocess
import sys
import tempfile
import zipfile

import pytest

from platform_under_test import ROOT

PACKAGE, MEMBER = "nicegui==2.24.2", "nicegui/static/socket.io.min.js"


def bundle():
    """The script. Where it can't be fetched the test is passed over, and says why."""
    return packaged(PACKAGE, MEMBER)


def packaged(package, member):
    """A file of a package on PyPI; Tests/SocketIO/javascript keeps the same one in the same place."""
    path = os.path.join(ROOT, ".build", "socketio", package + ".js")
    if not os.path.exists(path):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                pytest.skip(f"can't run here: pip could not download {package}: {done.stdout[-300:]}")
            wheel, = (name for name in os.listdir(folder) if name.endswith(".whl"))
            with zipfile.ZipFile(os.path.join(folder, wheel)) as content:
                script = content.read(member)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Whole or not at all, whoever else fetches it now.
        with open(f"{path}.{os.getpid()}", "wb") as file:
            file.write(script)
        os.replace(file.name, path)
    with open(path, "rb") as file:
        return file.read()
