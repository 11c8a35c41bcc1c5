"""Our own lint of Dockerfile, compose file and units: each rule gives sentences, none means it holds.

Rows 128 and 129 of the reliability catalogue. Works without a container engine and without systemd as
the first process.
"""
import re
import shlex

SECRET_NAME = re.compile(r"(KEY|TOKEN|PASSWORD|SECRET|CREDENTIAL)(?!_FILE)", re.IGNORECASE)
TAG = re.compile(r"^[\w./-]+(:[\w.-]*\d[\w.-]*|@sha256:[0-9a-f]{64})$")
DIGEST_ONLY_WORDS = ("latest", "stable", "edge", "nightly")


def pinned(image):
    """A tag with a version in it, or a digest; never a name that moves."""
    tag = image.rsplit(":", 1)[-1] if ":" in image else ""
    return bool(TAG.match(image)) and tag not in DIGEST_ONLY_WORDS


# Dockerfile

class Stage:
    def __init__(self, base, name):
        self.base, self.name, self.instructions = base, name, []

    def last(self, keyword):
        return next((rest for word, rest in reversed(self.instructions) if word == keyword), None)


def parse_dockerfile(text):
    """(global ARG defaults, stages in order); continuation lines joined, comments dropped."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    arguments, stages = {}, []
    for line in joined.splitlines():
        keyword, _, rest = line.strip().partition(" ")
        keyword, rest = keyword.upper(), rest.strip()
        if keyword == "FROM":
            words = rest.split()
            stages.append(Stage(words[0], words[2] if len(words) == 3 else ""))
        elif not stages and keyword == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif stages:
            stages[-1].instructions.append((keyword, rest))
    return arguments, stages


def lint_dockerfile(text, targets):
    arguments, stages = parse_dockerfile(text)
    by_name = {stage.name: stage for stage in stages}
    for stage in stages:
        yield from lint_stage(stage, arguments, by_name)
    for target in targets:
        if target not in by_name:
            yield f"no target {target}"
            continue
        yield from lint_target(target, lineage(by_name[target], by_name))


def lineage(stage, by_name):
    """The stage and those it is built upon, nearest first."""
    found = [stage]
    while found[-1].base in by_name:
        found.append(by_name[found[-1].base])
    return found


def lint_stage(stage, arguments, by_name):
    image = re.sub(r"\$\{(\w+)\}", lambda m: arguments.get(m[1], ""), stage.base)
    if image not in by_name and not pinned(image):
        yield f"base image {image or stage.base} is not pinned to a version or digest"
    for keyword, rest in stage.instructions:
        if keyword == "ADD":
            yield "ADD fetches and unpacks unasked: use COPY"
        if keyword in ("ENV", "ARG") and SECRET_NAME.search(rest.split("=")[0]):
            yield f"{keyword} {rest.split('=')[0]} would keep a secret in the image"
        if keyword == "RUN" and "apt-get install" in rest:
            if "--no-install-recommends" not in rest or "rm -rf /var/lib/apt/lists" not in rest:
                yield "apt-get install without --no-install-recommends or without removing the lists"
        if keyword == "RUN" and re.search(r"(curl|wget)[^|;&]*\|\s*(ba)?sh", rest):
            yield "a script from the network is run unread"


def lint_target(target, stages):
    def effective(keyword):
        return next((found for stage in stages if (found := stage.last(keyword)) is not None), None)

    user = (effective("USER") or "").split(":")[0]
    if not user.isdigit() or int(user) < 1000:
        yield f"{target}: runs as {user or 'root'}; a number of 1000 or more lets a cluster check it"
    if effective("HEALTHCHECK") in (None, "NONE"):
        yield f"{target}: no HEALTHCHECK"
    if not (effective("ENTRYPOINT") or "").startswith("["):
        yield f"{target}: ENTRYPOINT is not in the exec form, so that signals would not arrive"
    if "SWIFT_BACKTRACE=" not in " ".join(rest for s in stages for k, rest in s.instructions if k == "ENV"):
        yield f"{target}: SWIFT_BACKTRACE is not set"


# Compose

def lint_compose(document):
    volumes = document.get("volumes") or {}
    for name, service in document["services"].items():
        for problem in lint_service(service, volumes):
            yield f"{name}: {problem}"


def lint_service(service, volumes):
    image = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", service.get("image", ""))
    if not pinned(image):
        yield f"image {image or 'missing'} is not pinned"
    if service.get("read_only") is not True:
        yield "the root file system is writable"
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
        yield "capabilities are kept"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "no-new-privileges is missing"
    if service.get("privileged") or any("unconfined" in option for option in service.get("security_opt", [])):
        yield "privileged or unconfined"
    user = str(service.get("user", "")).split(":")[0]
    if not user.isdigit() or int(user) < 1000:
        yield f"runs as {user or 'the image says'}"
    if any(str(service.get(key, "")).startswith("host") for key in ("network_mode", "pid", "ipc", "userns_mode")):
        yield "shares a namespace with the host"
    for key in ("healthcheck", "mem_limit", "pids_limit", "restart"):
        if not service.get(key):
            yield f"no {key}"
    if seconds(service.get("stop_grace_period", "10s")) < 25:
        yield "is killed before a drain can end"
    yield from lint_mounts(service, volumes)
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            yield f"port {port} is published on every address"
    for variable in service.get("environment", {}):
        if SECRET_NAME.search(str(variable).split("=")[0]):
            yield f"secret in the environment: {variable}"


def lint_mounts(service, volumes):
    if not service.get("tmpfs"):
        yield "no tmpfs for /tmp"
    for mount in service.get("volumes", []):
        source, _, rest = str(mount).partition(":")
        if "docker.sock" in source:
            yield "is given the engine's socket"
        elif source not in volumes and not rest.endswith(":ro"):
            yield f"may write to the host's {source}"


def seconds(text):
    match = re.fullmatch(r"(\d+)s", str(text))
    return int(match[1]) if match else 0


# Units

REQUIRED = {
    "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
    "PrivateDevices": "yes", "MemoryDenyWriteExecute": "yes", "CapabilityBoundingSet": "",
    "RestrictSUIDSGID": "yes", "RestrictNamespaces": "yes", "ProtectKernelModules": "yes",
    "ProtectProc": "invisible", "SystemCallArchitectures": "native", "LockPersonality": "yes",
}
PRESENT = ["LimitNOFILE", "MemoryMax", "TasksMax", "User", "Group", "UMask", "Restart"]


def parse_unit(text):
    """Key -> values in order, over all sections."""
    settings = {}
    for line in text.splitlines():
        if line and line[0] not in "#;[" and "=" in line:
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


def lint_unit(text, network):
    """`network`: "clients" for the gateway, "none" for what only meets Unix sockets."""
    settings = parse_unit(text)
    for key, value in REQUIRED.items():
        if settings.get(key, [None])[-1] != value:
            yield f"{key} is not {value or 'empty'}"
    for key in PRESENT:
        if key not in settings:
            yield f"{key} is missing"
    calls = settings.get("SystemCallFilter", [])
    if "@system-service" not in calls or not any("~" in c and "@privileged" in c for c in calls):
        yield "SystemCallFilter is not @system-service without @privileged"
    if not any("SWIFT_BACKTRACE=" in value for value in settings.get("Environment", [])):
        yield "SWIFT_BACKTRACE is not set"
    if seconds(settings.get("TimeoutStopSec", ["0"])[-1] + "s") < 25:
        yield "is killed before a drain can end"
    if settings.get("User", ["root"])[-1] in ("root", "0"):
        yield "runs as root"
    if network == "none":
        for key, value in (("RestrictAddressFamilies", "AF_UNIX"), ("IPAddressDeny", "any"), ("PrivateNetwork", "yes")):
            if settings.get(key, [None])[-1] != value:
                yield f"{key} is not {value}"
    for command in settings.get("ExecStart", []):
        for word in shlex.split(command)[1:]:
            if SECRET_NAME.search(word) and "file" not in word.lower():
                yield f"secret on the command line: {word}"
