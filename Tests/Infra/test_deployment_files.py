"""The deployment files hold what they promise (D20, D22, rows 128 and 129), and the lint can fail."""
import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INFRA = os.path.join(ROOT, "infra")
sys.path.insert(0, HERE)

import lint  # noqa: E402

SERVICES = ["eventstore", "hub", "presence", "gateway"]
# `systemd-analyze security` gives 0 (closed) to 10 (open); its own word up to 2.0 is "OK".
# The gateway has to have a network, the others have none.
EXPOSURE_MAX = {"eventstore": 1.0, "hub": 1.0, "presence": 1.0, "gateway": 2.0}


def read(*path):
    with open(os.path.join(INFRA, *path)) as file:
        return file.read()


def compose():
    return yaml.safe_load(read("docker", "compose.yaml"))


def installed_units(folder):
    """The units with programs that exist, so that only the units themselves are judged."""
    units = []
    for name in sorted(os.listdir(os.path.join(INFRA, "systemd"))):
        if name.endswith((".service", ".target")):
            text = re.sub(r"^ExecStart=/usr/bin/sapphire-\w+", "ExecStart=/bin/true",
                          read("systemd", name), flags=re.MULTILINE)
            path = os.path.join(folder, name)
            with open(path, "w") as out:
                out.write(text.replace("/bin/kill", "/bin/true"))
            units.append(path)
    return units


# systemd

def test_units_are_understood_by_systemd(tmp_path):
    units = installed_units(tmp_path)
    assert len(units) == 5
    done = subprocess.run(["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", *units],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_units_expose_little(tmp_path, service):
    path = next(unit for unit in installed_units(tmp_path) if unit.endswith(f"sapphire-{service}.service"))
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", path],
                          capture_output=True, text=True, timeout=60)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) <= EXPOSURE_MAX[service], done.stdout[-3000:]


@pytest.mark.parametrize("service", SERVICES)
def test_units_keep_to_least_privilege(service):
    text = read("systemd", f"sapphire-{service}.service")
    assert list(lint.lint_unit(text, "clients" if service == "gateway" else "none")) == []
    assert lint.parse_unit(text)["User"] == [f"sapphire-{service}"], "one user a service"


def test_unit_lint_notices_every_rule_it_has():
    text = read("systemd", "sapphire-hub.service")
    for key in [*lint.REQUIRED, *lint.PRESENT, "RestrictAddressFamilies", "IPAddressDeny", "PrivateNetwork",
                "SystemCallFilter", "Environment", "TimeoutStopSec"]:
        without = re.sub(rf"^{key}=.*\n", "", text, flags=re.MULTILINE)
        assert without != text and list(lint.lint_unit(without, "none")), f"{key} could be dropped unnoticed"
    assert list(lint.lint_unit(text.replace("User=sapphire-hub", "User=root"), "none"))


def test_the_target_starts_every_service_and_nothing_else():
    wanted = lint.parse_unit(read("systemd", "sapphire.target"))["Wants"][0].split()
    assert sorted(wanted) == sorted(f"sapphire-{name}.service" for name in SERVICES)


def test_users_of_the_units_are_made(tmp_path):
    os.makedirs(tmp_path / "etc")
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", os.path.join(INFRA, "systemd", "sapphire.sysusers")],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "etc" / "passwd").read_text()
    for service in SERVICES:
        user = lint.parse_unit(read("systemd", f"sapphire-{service}.service"))["User"][0]
        assert re.search(rf"^{user}:", made, flags=re.MULTILINE)


def test_the_gateway_reads_its_keys_itself_and_no_other_service_can(tmp_path):
    """A copy made at the start, as LoadCredential makes one, would keep a revoked key in force until the next."""
    folder, group = "/etc/sapphire/gateway", "sapphire-gateway"
    files = re.findall(r'keyFiles?: "([^"]+)"', read("systemd", "sapphire.json5"))
    assert files and all(os.path.dirname(path) == folder for path in files), files
    for service in SERVICES:
        unit = lint.parse_unit(read("systemd", f"sapphire-{service}.service"))
        assert not [key for key in unit if "Credential" in key], service
        assert not any("KEY_FILE" in value for value in unit["Environment"]), "it would win over the configuration"
        groups = unit["Group"] + " ".join(unit.get("SupplementaryGroups", [])).split()
        hidden = {path.lstrip("-") for path in " ".join(unit["InaccessiblePaths"]).split()}
        assert (group in groups) == (service == "gateway"), groups
        assert (folder in hidden) == (service != "gateway") and not hidden & {"/etc", "/etc/sapphire"}, hidden
    os.makedirs(tmp_path / "etc")
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", os.path.join(INFRA, "systemd", "sapphire.sysusers")],
                   check=True, capture_output=True, timeout=60)
    members = dict(line.split(":")[::3] for line in (tmp_path / "etc" / "group").read_text().splitlines())
    assert members[group] == "" and "sapphire-gateway" in members["sapphire"], members
    with open(os.path.join(ROOT, "docs", "OPERATIONS.md")) as file:
        told = file.read()
    assert f"install -d -m 0750 -g {group} {folder}\n" in told
    assert f"install -m 0640 -g {group} /dev/null {folder}/api.key\n" in told


# Containers

def test_dockerfile_keeps_the_rules():
    assert list(lint.lint_dockerfile(read("docker", "Dockerfile"), [*SERVICES, "sapphire"])) == []


def test_dockerfile_copies_what_exists():
    _, stages = lint.parse_dockerfile(read("docker", "Dockerfile"))
    for stage in stages:
        for keyword, rest in stage.instructions:
            if keyword == "COPY" and "--from" not in rest:
                source = [word for word in rest.split() if not word.startswith("--")][0]
                assert os.path.exists(os.path.join(ROOT, source)), source


@pytest.mark.parametrize("before, after", [
    ("USER 10001:10001", "USER root"),
    ("USER 10001:10001\n", ""),
    ("=swift:6.3.1-bookworm", "=swift:latest"),
    ("=debian:12.12-slim", "=debian"),
    ("HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \\\n"
     '  CMD ["healthcheck", "http", "8000", "/live"]\n', ""),
    ('ENTRYPOINT ["sapphire-hub"]', "ENTRYPOINT sapphire-hub"),
    ("ENV SWIFT_BACKTRACE=enable=no\n", "ENV API_KEY=abc\nENV SWIFT_BACKTRACE=enable=no\n"),
    ("ENV SWIFT_BACKTRACE=enable=no\n", ""),
    ("--no-install-recommends libsqlite3-0", "libsqlite3-0"),
    ("COPY Package.swift ./", "ADD https://example.org/x.tar ./"),
    ("WORKDIR /source", "RUN curl https://example.org/install | sh"),
    ("AS presence", "AS absence"),
])
def test_dockerfile_lint_notices(before, after):
    text = read("docker", "Dockerfile")
    assert before in text
    assert list(lint.lint_dockerfile(text.replace(before, after), [*SERVICES, "sapphire"]))


def test_compose_keeps_the_rules():
    document = compose()
    assert sorted(document["services"]) == sorted(SERVICES)
    assert list(lint.lint_compose(document)) == []


@pytest.mark.parametrize("key, value", [
    ("read_only", False), ("cap_drop", ["NET_RAW"]), ("cap_add", ["SYS_ADMIN"]), ("security_opt", []),
    ("security_opt", ["no-new-privileges:true", "seccomp:unconfined"]), ("privileged", True),
    ("user", "0:0"), ("user", "root"), ("image", "sapphire-hub:latest"), ("image", "sapphire-hub"),
    ("network_mode", "host"), ("pid", "host"), ("healthcheck", None), ("mem_limit", None),
    ("pids_limit", None), ("tmpfs", []), ("restart", None), ("stop_grace_period", "10s"),
    ("volumes", ["/var/run/docker.sock:/var/run/docker.sock"]), ("volumes", ["/etc:/etc"]),
    ("ports", ["8000:8000"]), ("environment", {"SAPPHIRE_API_KEY": "abc"}),
])
def test_compose_lint_notices(key, value):
    document = copy.deepcopy(compose())
    document["services"]["hub"][key] = value
    assert list(lint.lint_compose(document))


def test_compose_targets_and_secrets_exist():
    document = compose()
    _, stages = lint.parse_dockerfile(read("docker", "Dockerfile"))
    names = {stage.name for stage in stages}
    for name, service in document["services"].items():
        build = service["build"]
        assert build["target"] == name and name in names
        folder = os.path.join(INFRA, "docker")
        assert os.path.samefile(os.path.join(folder, build["context"]), ROOT)
        assert os.path.exists(os.path.join(ROOT, build["dockerfile"]))
        for mount in service["volumes"]:
            if mount.startswith("./"):
                assert os.path.exists(os.path.join(folder, mount.split(":")[0])), mount
    for secret in document["secrets"].values():
        done = subprocess.run(["git", "check-ignore", "-q", os.path.join("infra/docker", secret["file"])], cwd=ROOT)
        assert done.returncode == 0, f"{secret['file']} could be committed"


def test_health_check_tells_a_listening_socket_from_a_dead_one(tmp_path):
    import socket
    check = os.path.join(INFRA, "docker", "healthcheck")
    path = str(tmp_path / "s.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    assert subprocess.run([check, "socket", path]).returncode == 1, "bound is not listening"
    listening.listen()
    assert subprocess.run([check, "socket", path]).returncode == 0
    listening.close()
    assert os.path.exists(path)
    assert subprocess.run([check, "socket", path]).returncode == 1, "the file is still there, the process is not"


@pytest.mark.parametrize("status, code", [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_health_check_reads_the_status_of_an_answer(status, code):
    import socket
    import threading
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        link, _ = server.accept()
        with link:
            head = b""
            while b"\r\n\r\n" not in head and (more := link.recv(1000)):
                head += more
            link.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    thread = threading.Thread(target=answer)
    thread.start()
    check = os.path.join(INFRA, "docker", "healthcheck")
    port = str(server.getsockname()[1])
    assert subprocess.run([check, "http", port, "/live"], timeout=10).returncode == code
    thread.join()
    server.close()


# Example configurations

@pytest.mark.parametrize("path", [
    "config/laptop.json5", "config/one-server.json5", "config/gateway-apart.json5", "systemd/sapphire.json5",
    "docker/sapphire.json5"])
def test_example_configurations_are_sound(path):
    folder = os.environ.get("SAPPHIRE_BIN")
    candidates = [folder] if folder else [os.path.join(ROOT, ".build", kind) for kind in ("release", "debug")]
    program = next((found for place in candidates if (found := shutil.which("sapphire", path=place))), None)
    assert program, f"no sapphire executable in {candidates}"
    done = subprocess.run([program, "config", "check", os.path.join(INFRA, path)], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


# What it is made of (D25, row 130)

def test_the_bill_of_materials_names_what_the_executables_load():
    folder = os.environ.get("SAPPHIRE_BIN", os.path.join(ROOT, ".build", "release"))
    done = subprocess.run([os.path.join(INFRA, "sbom"), folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    parts = {part["bom-ref"]: part for part in bill["components"]}
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert all(ref in parts for refs in needs.values() for ref in refs)
    for name in ["sapphire", *(f"sapphire-{service}" for service in SERVICES)]:
        with open(os.path.join(folder, name), "rb") as file:
            assert parts[name]["hashes"][0]["content"] == hashlib.sha256(file.read()).hexdigest()

    def packages(name):
        return {parts[ref]["name"] for ref in needs[name]}
    assert {"libc6", "libsqlite3-0", "libssl3"} <= packages("sapphire-eventstore")
    assert {"libc6", "libssl3", "zlib1g"} <= packages("sapphire-gateway")
    assert all(part["version"] for part in parts.values())


def test_a_bill_of_what_is_not_there_is_not_written(tmp_path):
    done = subprocess.run([os.path.join(INFRA, "sbom"), str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("sbom: ")
