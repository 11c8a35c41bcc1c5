"""`sapphire up` beside others of its kind, and started in odd ways."""
import os
import socket
import subprocess
import tempfile

from platform_under_test import Sapphire, end, eventually, executables


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_of_two_systems_started_at_once_on_one_port_one_says_why_it_cant():
    """The kernel would share the port between them, and clients with it."""
    with tempfile.TemporaryDirectory(prefix="sapphire-clients-") as folder:
        address = f"127.0.0.1:{free_port()}"
        both = [
            subprocess.Popen(
                [os.path.join(executables(), "sapphire"), "up", "--listen", address, "--data", f"{folder}/{name}"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
            for name in ("a", "b")]
        try:
            def loser():
                over = [process for process in both if process.poll() is not None]
                return over[0] if over else None

            lost = eventually(20, "the end of one of them", loser)
            output, errors = lost.communicate(timeout=10)
            assert lost.returncode not in (0, None) and "ready http" not in output, (lost.returncode, output)
            assert address in errors and "in use" in errors, errors
            won = both[1 - both.index(lost)]
            lines = iter(won.stdout.readline, "")
            assert any(line.startswith(f"ready http://{address}") for line in lines)
            assert won.poll() is None
        finally:
            for process in both:
                end(process)


def test_without_standard_descriptors_nothing_of_ours_takes_their_numbers():
    """What is printed or logged would go into whatever file or socket has the number 1 or 2."""
    platform = Sapphire()
    with tempfile.TemporaryDirectory(prefix="sapphire-clients-") as folder:
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$0" "$@" 0<&- 1>&- 2>&-', os.path.join(executables(), "sapphire"), "up",
             "--listen", "127.0.0.1:0", "--data", folder], start_new_session=True)
        try:
            platform.url = eventually(30, "its address", lambda: read(os.path.join(folder, "run", "url")))
            eventually(20, "ready", lambda: platform.get("/ready")[0] == 200)
            assert [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
            for service in ("hub", "eventstore", "presence", "gateway"):
                pid = int(read(os.path.join(folder, "run", f"{service}.pid")))
                targets = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
                assert all(target.startswith(("/dev/null", "pipe:")) for target in targets), (service, targets)
        finally:
            end(process)
    assert process.returncode == 0


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


def test_the_key_file_that_the_configuration_names_is_the_one():
    """The gateway's, and that of the commands that look for it; one that isn't there yet is made."""
    platform = Sapphire()
    path = os.path.join(platform.folder, "elsewhere", "keys")
    os.mkdir(os.path.dirname(path))
    try:
        platform.start(f'{{ api: {{ keyFile: "{path}" }} }}')
        assert os.stat(path).st_mode & 0o777 == 0o600 and not os.path.exists(os.path.join(platform.data, "api.key"))
        with open(path) as file:
            key = file.read().strip()
        assert platform.post("/api/publish", {"channel": "a", "data": 1}, key)[0] == 200
        assert platform.post("/api/publish", {"channel": "a", "data": 1}, "x" * 43)[0] == 401
        platform.run("publish", "a", "one")
        made = platform.run("key", "make", "shop", "--scopes", "publish").strip()
        with open(path) as file:
            assert "name=shop" in file.read()
        eventually(10, "the new key opens", lambda: platform.post("/api/publish", {"channel": "a", "data": 1}, made)[0] == 200)
        platform.stop()
        # Without it the data directory has a file of its own again.
        platform.lines.clear()
        platform.start()
        assert platform.key and platform.key != key
        assert platform.post("/api/publish", {"channel": "a", "data": 1}, platform.key)[0] == 200
        platform.run("publish", "a", "two")
    finally:
        platform.stop()
        platform.remove()
