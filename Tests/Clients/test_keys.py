"""`sapphire key` changes files that a gateway of another user reads, as the systemd units have them."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from platform_under_test import Sapphire, eventually, executables

IS_ROOT = os.geteuid() == 0
NOBODY = 65534


def key(*words, file, **process):
    return subprocess.run([os.path.join(executables(), "sapphire"), "key", *words, "--file", str(file)],
                          capture_output=True, text=True, timeout=30, **process)


def made(path, mode, user=None, group=None):
    path.write_text("# ours\n0123456789abcdef\n")
    path.chmod(mode)
    if IS_ROOT:
        os.chown(path, NOBODY if user is None else user, 0 if group is None else group)
    return path


def whose(path):
    status = os.stat(path)
    return status.st_uid, status.st_gid, status.st_mode & 0o7777


@pytest.fixture
def folder(tmp_path):
    """One that every user may enter."""
    for place in (tmp_path, *tmp_path.parents):
        if place.owner() == tmp_path.owner() and "pytest" in str(place):
            place.chmod(0o755)
    return tmp_path


def test_a_key_file_keeps_owner_group_and_mode(folder):
    path = made(folder / "api.key", 0o640)
    before = whose(path)
    assert not IS_ROOT or before == (NOBODY, 0, 0o640)
    assert key("make", "shop", "--scopes", "publish", file=path).returncode == 0
    assert whose(path) == before and "name=shop" in path.read_text()
    assert key("revoke", "shop", file=path).returncode == 0
    assert whose(path) == before and path.read_text() == "# ours\n0123456789abcdef\n"
    assert os.listdir(folder) == ["api.key"]


def test_keys_behind_a_link_are_changed_where_they_are(folder):
    (folder / "real").mkdir()
    path = made(folder / "real" / "api.key", 0o640)
    link = folder / "api.key"
    link.symlink_to("real/api.key")
    assert key("make", "shop", "--scopes", "publish", file=link).returncode == 0
    assert link.is_symlink() and "name=shop" in path.read_text() and whose(path)[2] == 0o640


def test_of_keys_that_are_made_at_once_none_is_lost(folder):
    path = made(folder / "api.key", 0o600)
    command = [os.path.join(executables(), "sapphire"), "key", "make", "--scopes", "publish", "--file", str(path)]
    running = [subprocess.Popen([*command, f"key-{number}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for number in range(12)]
    keys = {process.communicate(timeout=60)[0] for process in running}
    assert all(process.returncode == 0 for process in running) and len(keys) == 12
    listed = key("list", file=path).stdout
    assert all(f"key-{number}\tpublish" in listed for number in range(12)), listed


@pytest.fixture
def programs_for_all(monkeypatch):
    """The programs where another user may start them: root's own folder is nobody else's business."""
    closed = [place for place in pathlib.Path(executables(), "sapphire").resolve().parents if not place.stat().st_mode & 0o001]
    if not IS_ROOT or not closed:
        yield
        return
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        for name in ("sapphire", *(f"sapphire-{service}" for service in ("gateway", "hub", "eventstore", "presence"))):
            shutil.copy(os.path.join(executables(), name), place)
        monkeypatch.setenv("SAPPHIRE_BIN", place)
        yield


@pytest.mark.usefixtures("programs_for_all")
def test_a_file_that_could_not_stay_whose_it_is_is_left_as_it_is(folder):
    # Root becomes somebody who may write into the directory and is not the file's owner.
    path = made(folder / "api.key", 0o644, user=0)
    folder.chmod(0o777 if IS_ROOT else 0o555)
    options = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_ROOT else {}
    before = whose(path), path.read_text()
    done = key("make", "shop", "--scopes", "publish", file=path, **options)
    folder.chmod(0o755)
    assert done.returncode == 1 and done.stdout == "", "a key that was not kept is not shown"
    assert ("belongs to user 0" if IS_ROOT else "Permission denied") in done.stderr, done.stderr
    assert (whose(path), path.read_text()) == before and os.listdir(folder) == ["api.key"]


@pytest.mark.usefixtures("programs_for_all")
def test_a_gateway_of_another_user_forgets_a_revoked_key():
    """As /etc/sapphire/gateway under the units: root's file, read by the gateway's group; no signal is sent."""
    platform = Sapphire()
    try:
        os.mkdir(platform.data)
        path = made(pathlib.Path(platform.data) / "api.key", 0o640, user=0, group=NOBODY)
        if IS_ROOT:
            os.chown(platform.folder, NOBODY, NOBODY)
            os.chown(platform.data, NOBODY, NOBODY)
        platform.start(**({"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_ROOT else {}))
        till = key("make", "till", "--scopes", "publish", file=path).stdout.strip()

        def status():
            return platform.post("/api/publish", {"channel": "k", "data": 1}, till)[0]
        eventually(10, "the gateway knows the key", lambda: status() == 200)
        assert key("revoke", "till", file=path).returncode == 0
        eventually(10, "the gateway refuses it", lambda: status() == 401)
        assert platform.post("/api/publish", {"channel": "k", "data": 1}, "0123456789abcdef")[0] == 200
    finally:
        platform.stop()
        platform.remove()


def test_a_revocation_that_can_not_be_meant_is_refused(sapphire):
    for body in ({"user": "x" * 256}, {"jti": "x" * 3_000_000}, {"session": "x" * 256}, {"user": "a", "ttl": 1.5},
                 {"user": "a", "ttl": "x"}, {"user": "a", "ttl": 1e300}, {"user": "a", "ttl": 0}, {"user": "a", "ttl": None}):
        status, _, answer = sapphire.post("/api/revoke", body, sapphire.key)
        assert status == 200 and answer["error"]["code"] == 107, (str(body)[:60], answer)
    for method in ("disconnect", "unsubscribe"):
        answer = sapphire.post(f"/api/{method}", {"user": "x" * 256, "channel": "a"}, sapphire.key)[2]
        assert answer["error"]["code"] == 107, answer
    assert "error" not in sapphire.post("/api/revoke", {"user": "x" * 255, "ttl": 60}, sapphire.key)[2]
