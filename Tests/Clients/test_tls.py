"""https and wss as clients that are not ours see them, and what strangers try at the door (D17, row 85)."""
import asyncio
import hashlib
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from platform_under_test import Sapphire, end, eventually, executables, next_json, next_of, within

CONFIGURATION = """{ channels: [{ match: "log:*", history: { durable: true } }, { match: "*" }],
  tls: { strictTransportSecurity: "180d" }, limits: { tlsHandshakeTimeout: "1s", wsHandshakeTimeout: "3s" } }"""


@pytest.fixture(scope="module")
def secure():
    """One platform with `up --tls` for all; no test leaves it changed for the next."""
    platform = Sapphire()
    try:
        platform.start(CONFIGURATION, options=["--tls"])
        platform.context = trusting(certificate(platform))
        yield platform
    finally:
        platform.stop()
        platform.remove()


def certificate(platform):
    return os.path.join(platform.data, "tls", "certificate.pem")


def trusting(authority, **settings):
    context = ssl.create_default_context(cafile=authority)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def place(platform):
    parts = urlsplit(platform.url)
    return parts.hostname, parts.port


def connect(platform, context=None, session=None, name="localhost"):
    raw = socket.create_connection(place(platform), 10)
    return (context or platform.context).wrap_socket(
        raw, server_hostname=name, session=session, suppress_ragged_eofs=False)


def metric(platform, name, label=""):
    status, _, body = platform.get("/metrics", **{"X-API-Key": platform.key})
    assert status == 200
    found = re.search(r"^%s\{[^}]*%s[^}]*\} (\d+)$" % (name, label), body.decode(), re.MULTILINE)
    return int(found.group(1)) if found else None


def s_client(platform, *options, text="", pause=0.0):
    """What OpenSSL's client says; it is given its lines one by one where they are commands."""
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", "%s:%d" % place(platform), "-servername", "localhost",
         "-CAfile", certificate(platform), *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        if pause:
            time.sleep(pause)
        return client.communicate(text, timeout=20)[0]
    finally:
        end(client)


# What is served.

def test_speaks_https_and_wss(secure):
    assert secure.url.startswith("https://127.0.0.1:")
    with open(os.path.join(secure.data, "run", "url")) as file:
        assert file.read().strip() == secure.url
    for path in ("certificate.pem", "key.pem"):
        assert os.stat(os.path.join(secure.data, "tls", path)).st_mode & 0o777 == 0o600
    status, headers, _ = secure.get("/live")
    assert status == 200 and headers["Strict-Transport-Security"] == "max-age=15552000"

    async def chat():
        async with secure.socket("/ws/log:tls?envelope=1") as listener, secure.socket("/ws/log:tls") as speaker:
            await next_of(listener, "connection")
            await speaker.send("over TLS")
            return await next_of(listener, "envelope")
    message = within(10, chat())
    assert "over TLS" in json.dumps(message)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", socket.gethostname()])
def test_its_own_certificate_is_for_this_machine(secure, name):
    with connect(secure, name=name) as wire:
        assert wire.version() == "TLSv1.3"


def test_its_own_clients_find_and_trust_it(secure):
    secure.run("publish", "log:cli", "over https")
    assert "over https" in secure.run("history", "log:cli")
    elsewhere = dict(os.environ, SAPPHIRE_URL=secure.url, SAPPHIRE_DATA=secure.folder)
    command = [os.path.join(executables(), "sapphire"), "health"]
    for trust, code in ([], 69), (["--ca", certificate(secure)], 0):
        done = subprocess.run([*command, *trust], env=elsewhere, capture_output=True, text=True, timeout=30)
        assert done.returncode == code, done.stderr
    refused = subprocess.run(command, env=elsewhere, capture_output=True, text=True, timeout=30)
    assert "self-signed certificate" in refused.stderr and "--ca" in refused.stderr, refused.stderr
    wrong = subprocess.run([*command, "--ca", "/dev/null"], env=elsewhere, capture_output=True, text=True, timeout=30)
    assert wrong.returncode == 64, wrong.stderr


def test_observes_with_its_own_client(secure):
    observer = secure.command("observe", "log:watch", "--since", "start", stdout=subprocess.PIPE, text=True)
    secure.run("publish", "log:watch", "seen through TLS")
    assert any("seen through TLS" in line for line in iter(observer.stdout.readline, ""))
    end(observer)


def test_serves_curl(secure):
    done = subprocess.run(
        ["curl", "-sS", "--http1.1", "--cacert", certificate(secure), "-w", "%{http_code} %{ssl_verify_result}",
         secure.url + "/live"], capture_output=True, text=True, timeout=20)
    assert done.stdout.endswith("200 0"), (done.stdout, done.stderr)
    strange = subprocess.run(["curl", "-sS", secure.url + "/live"], capture_output=True, text=True, timeout=20)
    assert strange.returncode == 60, strange.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_agrees_with_openssl_on_http(secure, version):
    request = f"GET /live HTTP/1.1\r\nHost: localhost:{place(secure)[1]}\r\nConnection: close\r\n\r\n"
    output = s_client(secure, version, "-alpn", "h2,http/1.1", "-ign_eof", text=request)
    assert "ALPN protocol: http/1.1" in output and "Verification: OK" in output
    assert "HTTP/1.1 200" in output


def test_refuses_what_is_too_old_or_speaks_something_else(secure):
    before = metric(secure, "sapphire_tls_failures_total", "nothing_in_common")
    for options in ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA"], ["-alpn", "h2"]:
        output = s_client(secure, *options)
        assert "alert" in output and "Cipher is (NONE)" in output, output
    assert metric(secure, "sapphire_tls_failures_total", "nothing_in_common") == before + 3


def test_sixteen_mebibytes_come_back(secure):
    sent = random.Random(7).randbytes(16 << 20)

    async def echo():
        async with secure.socket("/ws/echo", compression=None) as socket:
            await socket.send(sent)
            return await socket.recv()
    assert within(30, echo()) == sent


def test_the_page_works_over_https(secure, browser):
    browser._call("Security.setIgnoreCertificateErrors", ignore=True)
    browser.go(secure.url + "/#channel=log:page")
    browser.until("document.body.dataset.phase === 'live'")
    assert browser.text("#encryption") == "Encrypted"
    browser.type("#message", "through Chromium")
    browser.until("[...document.querySelectorAll('.row .payload')].some(n => n.textContent.includes('through Chromium'))")


def test_a_long_answer_of_the_vault_comes_whole(secure):
    content = os.urandom(3 << 20)
    path = os.path.join(secure.folder, "file")
    with open(path, "wb") as file:
        file.write(content)
    secure.run("vault", "drop", "log:vault", path)
    digest = hashlib.sha256(content).hexdigest()
    status, _, body = secure.get(f"/vault/{digest}")
    assert status == 200 and body == content


def test_an_answer_ends_with_close_notify(secure):
    with connect(secure) as wire:
        wire.sendall(f"GET /live HTTP/1.1\r\nHost: {urlsplit(secure.url).netloc}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        # A missing close_notify would be an error here, not an end.
        while piece := wire.recv(65_536):
            received += piece
        assert received.startswith(b"HTTP/1.1 200")
        assert wire.unwrap() is not None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_comes_back_with_a_ticket(secure, version):
    context = trusting(certificate(secure), minimum_version=version, maximum_version=version)
    before = metric(secure, "sapphire_tls_resumed_total")

    def ask(session):
        with connect(secure, context, session) as wire:
            wire.sendall(f"GET /live HTTP/1.1\r\nHost: {urlsplit(secure.url).netloc}\r\n\r\n".encode())
            assert wire.recv(65_536).startswith(b"HTTP/1.1 200")
            return wire.session, wire.session_reused
    session, reused = ask(None)
    assert not reused and session.has_ticket
    # Any loop of the gateway takes it.
    assert all(ask(session)[1] for _ in range(4))
    assert metric(secure, "sapphire_tls_resumed_total") == before + 4


# What is tried at the door.

def test_plain_http_is_told_to_speak_tls(secure):
    for request in b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", b"DELETE / HTTP/1.1\r\n\r\n":
        with socket.create_connection(place(secure), 10) as wire:
            wire.sendall(request)
            answer = b""
            while piece := wire.recv(65_536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and b"https://" in body, answer
        assert json.loads(body)["error"]["code"] == 107
    assert metric(secure, "sapphire_tls_failures_total", "plain_http") >= 2


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_rubbish_and_half_handshakes_hurt_nobody(secure):
    hello = client_hello()
    chance = random.Random(11)
    attempts = [bytes([0x80 | chance.randrange(128)]) + chance.randbytes(chance.randrange(1, 2_000)) for _ in range(40)]
    attempts += [hello[:chance.randrange(1, len(hello))] for _ in range(20)]
    for _ in range(60):
        damaged = bytearray(hello)
        damaged[chance.randrange(len(hello))] ^= 1 << chance.randrange(8)
        attempts.append(bytes(damaged))
    attempts += [b"\x16\x03\x01\x40\x00" + bytes(16_384)] * 5
    before = secure.pid("gateway")
    sockets = []

    async def chat():
        async with secure.socket("/ws/calm") as inside:
            for number, attempt in enumerate(attempts):
                wire = socket.create_connection(place(secure), 10)
                wire.sendall(attempt)
                if number % 3 == 0:
                    wire.close()
                else:
                    sockets.append(wire)
                if number % 10 == 0:
                    await inside.ping()
            await asyncio.wait_for(await inside.ping(), 5)
    within(20, chat())
    for wire in sockets:
        wire.close()
    assert secure.pid("gateway") == before
    assert metric(secure, "sapphire_tls_failures_total", "violation") > 0


def test_a_slow_handshake_is_given_up_and_counted(secure):
    hello = client_hello()
    before = metric(secure, "sapphire_tls_failures_total", "timeout")
    with socket.create_connection(place(secure), 10) as silent, socket.create_connection(place(secure), 10) as slow:
        began = time.monotonic()
        slow.settimeout(0.1)
        for byte in hello[:100]:
            try:
                slow.sendall(bytes([byte]))
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - began < 5
        assert silent.recv(1) == b""
    assert metric(secure, "sapphire_tls_failures_total", "timeout") == before + 2
    assert metric(secure, "sapphire_limit_reached_total", 'limit="tlsHandshakeTimeout"') >= 2


def test_does_not_renegotiate(secure):
    output = s_client(secure, "-tls1_2", text="R\n", pause=0.3)
    assert "no renegotiation" in output.lower(), output[-500:]


def test_updates_of_keys_without_end_are_cut_off(secure):
    before = metric(secure, "sapphire_tls_failures_total", "too_many_messages")
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", "%s:%d" % place(secure), "-tls1_3", "-CAfile", certificate(secure)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    try:
        def cut_off():
            try:
                client.stdin.write("K\n")
                client.stdin.flush()
            except OSError:
                pass
            return metric(secure, "sapphire_tls_failures_total", "too_many_messages") > before
        eventually(15, "the connection is cut off", cut_off)
    finally:
        client.kill()
        client.wait(5)


# The certificate.

def renew(folder, days=30):
    """A new certificate and key for localhost, made by OpenSSL; their paths."""
    files = os.path.join(folder, "new.pem"), os.path.join(folder, "new-key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", files[0],
         "-keyout", files[1]], check=True, capture_output=True)
    return files


def test_a_reload_changes_the_certificate_and_drops_nobody(tmp_path):
    chain, key = os.path.join(tmp_path, "chain.pem"), os.path.join(tmp_path, "key.pem")

    def install(new_chain, new_key):
        for source, target in (new_chain, chain), (new_key, key):
            with open(source, "rb") as file, open(target + "~", "wb", opener=lambda p, f: os.open(p, f, 0o600)) as copy:
                copy.write(file.read())
            os.replace(target + "~", target)
    install(*renew(tmp_path))
    platform = Sapphire()
    try:
        platform.start('{ tls: { certificate: "%s", key: "%s" } }' % (chain, key))
        platform.context = old = trusting(chain)

        def reload(word):
            seen = platform.log_tail().count(word)
            platform.process.send_signal(signal.SIGHUP)
            eventually(10, word, lambda: platform.log_tail().count(word) > seen)

        async def stay():
            async with platform.socket("/ws/stay") as inside, platform.socket("/ws/events/stay") as other:
                # The welcome says that the subscription stands.
                await asyncio.wait_for(other.recv(), 5)

                async def talk(text):
                    await inside.send(text)
                    assert await asyncio.wait_for(other.recv(), 5) == text
                await talk("with the first")
                install(*renew(tmp_path))
                reload("the certificate was read again")
                await talk("after the reload")
                with pytest.raises(ssl.SSLCertVerificationError):
                    connect(platform, old)
                fresh = trusting(chain)
                connect(platform, fresh).close()
                with open(chain, "w") as file:
                    file.write("no certificate")
                reload("the certificate can't be used")
                connect(platform, fresh).close()
                await talk("after a bad file")
        within(30, stay())
        assert "no certificate in PEM" in platform.log_tail()
    finally:
        platform.stop()
        platform.remove()


def refusal(tmp_path, text, *words):
    file = os.path.join(tmp_path, "sapphire.json5")
    with open(file, "w") as configuration:
        configuration.write(text)
    found = []
    for program in ["sapphire", "config", "check", file], ["sapphire-gateway", "--listen", "127.0.0.1:0", "--config", file]:
        done = subprocess.run([os.path.join(executables(), program[0]), *program[1:]], capture_output=True, text=True,
                              timeout=20)
        assert done.returncode == 78, (program, done)
        for word in words:
            assert word in done.stderr, (word, done.stderr)
        found.append(done.stderr)
    return found


def test_files_that_cannot_be_used_are_refused_at_the_start(tmp_path):
    chain, key = renew(tmp_path)
    other = os.path.join(tmp_path, "other")
    os.mkdir(other)
    _, strange = renew(other)

    def text(certificate, key):
        return "{\n  tls: {\n    certificate: \"%s\",\n    key: \"%s\" } }" % (certificate, key)
    missing = os.path.join(tmp_path, "missing.pem")
    refusal(tmp_path, text(missing, key), "sapphire.json5:3: tls.certificate:", "No such file")
    refusal(tmp_path, text(chain, missing), "sapphire.json5:4: tls.key:", "No such file")
    refusal(tmp_path, text(chain, strange), "sapphire.json5:4: tls.key:", "does not go with")
    refusal(tmp_path, text(key, key), "sapphire.json5:3: tls.certificate:", "PEM")
    os.chmod(key, 0o644)
    refusal(tmp_path, text(chain, key), "sapphire.json5:4: tls.key:", "chmod")
    os.chmod(key, 0o600)
    refusal(tmp_path, "{\n  tls: { certificate: \"%s\" } }" % chain, "sapphire.json5:2: tls.key:")
    refusal(tmp_path, "{\n tls: { minimum: \"1.1\" } }", "sapphire.json5:2: tls.minimum:", '"1.2", "1.3"')
