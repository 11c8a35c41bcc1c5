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


def ran(program, *words):
    return subprocess.run([os.path.join(executables(), program), *words], capture_output=True, text=True, timeout=30)


def test_a_rule_that_its_channel_type_cant_serve_is_refused_with_its_line_before_anything_starts():
    with tempfile.TemporaryDirectory(prefix="sapphire-clients-") as folder:
        path = os.path.join(folder, "sapphire.json5")
        with open(path, "w", encoding="utf-8") as file:
            file.write("""{ channels: [
  { match: "a", type: "cursor", options: {
      framesPerSecnd: 30 } },
  { match: "b", type: "board" },
] }
""")
        for program, words in (("sapphire", ("config", "check", path)),
                               ("sapphire", ("up", "--listen", "127.0.0.1:0", "--data", f"{folder}/data", "--config", path)),
                               ("sapphire-gateway", ("--listen", "127.0.0.1:0", "--config", path))):
            done = ran(program, *words)
            assert (done.returncode, done.stdout) == (78, ""), (program, done)
            assert f"{path}:3: channels[0].options.framesPerSecnd: no such option" in done.stderr, done.stderr
            assert f"{path}:4: channels[1].type: type board needs a durable history" in done.stderr, done.stderr
        assert not os.path.exists(f"{folder}/data")


def test_what_a_service_cant_start_with_is_said_plainly():
    with tempfile.TemporaryDirectory(prefix="sapphire-clients-") as folder:
        nowhere = os.path.join(folder, "nowhere")
        for program, code, words, said in (
                ("sapphire-hub", 64, ("--listen", "tcp:127.0.0.1:0"), "--link-key-file"),
                ("sapphire-gateway", 64, ("--listen", "127.0.0.1:0", "--hub", "127.0.0.1:1"), "--hub tcp:127.0.0.1:1: a link over TCP"),
                ("sapphire-eventstore", 64, ("--data", folder, "--listen", f"unix:{folder}/s", "--hub", "127.0.0.1:1"), "--link-key-file"),
                ("sapphire-presence", 78, ("--config", nowhere), "the configuration can't be read"),
                ("sapphire-hub", 78, ("--listen", f"unix:{folder}/h", "--link-key-file", nowhere), "the link key can't be read")):
            done = ran(program, *words)
            assert done.returncode == code and said in done.stderr, (program, words, done)
            assert "Failure(" not in done.stderr and "ready" not in done.stdout, done


def test_each_service_says_its_version_and_those_of_its_libraries():
    wanted = {"hub": ["OpenSSL 3."], "presence": ["OpenSSL 3."], "eventstore": ["OpenSSL 3.", "SQLite 3."],
              "gateway": ["OpenSSL 3.", "zlib 1."]}
    for service, libraries in wanted.items():
        lines = ran(f"sapphire-{service}", "--version").stdout.splitlines()
        assert lines[0].startswith(f"sapphire-{service} ") and len(lines) == 1 + len(libraries), lines
        for library in libraries:
            assert any(line.startswith(library) for line in lines[1:]), lines


def test_a_gateway_says_which_service_it_cant_reach_and_why():
    with tempfile.TemporaryDirectory(prefix="sapphire-clients-") as folder:
        for name in ("right", "wrong"):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(name * 10)
        running = []

        def started(program, *words):
            errors = open(f"{folder}/{program}.log", "w", encoding="utf-8")
            running.append(subprocess.Popen(
                [os.path.join(executables(), program), *words], stdout=subprocess.PIPE, stderr=errors, text=True,
                start_new_session=True))
            return running[-1]
        try:
            hub = started("sapphire-hub", "--listen", "tcp:127.0.0.1:0", "--link-key-file", f"{folder}/right")
            address = hub.stdout.readline().split("tcp:")[1].strip()
            started("sapphire-gateway", "--listen", "127.0.0.1:0", "--hub", address, "--run", folder,
                    "--link-key-file", f"{folder}/wrong")

            def said():
                text = read(f"{folder}/sapphire-gateway.log")
                lines = [line for line in text.splitlines() if "no link to" in line]
                return {service: [line for line in lines if f"no link to {service}" in line]
                        for service in ("hub", "eventstore", "presence")}
            eventually(15, "what each link lacks", lambda: all(said().values()))
            assert f"tcp:{address}" in said()["hub"][0] and "No such file" in said()["presence"][0], said()
            assert "starting" in read(f"{folder}/sapphire-gateway.log").splitlines()[0]
        finally:
            for process in running:
                end(process)
