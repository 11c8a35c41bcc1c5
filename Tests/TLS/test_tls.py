"""TLS as clients that are not ours see it: Python's ssl and OpenSSL's s_client."""
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(os.environ.get("SAPPHIRE_BIN") or os.path.join(ROOT, ".build", "release"), "TLSWorkload")


class Server:
    """The server behind pipes; `exchange` gives it ciphertext and returns its answer."""

    def __init__(self, directory, *options):
        self.process = subprocess.Popen([PROGRAM, "serve", str(directory), *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.read() == b"ready"
        self.certificate = os.path.join(str(directory), "certificate.pem")

    def read(self):
        count, = struct.unpack("<I", self.process.stdout.read(4))
        return self.process.stdout.read(count)

    def exchange(self, data):
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        return self.read()

    def end_connection(self):
        self.process.stdin.write(struct.pack("<I", 0))
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        return self.process.stderr.read().decode()


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    if server.process.poll() is None:
        server.stop()


class Client:
    def __init__(self, server, context, session=None):
        self.server, self.incoming, self.outgoing = server, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost", session=session)

    def carry(self):
        data = self.outgoing.read()
        if data:
            self.incoming.write(self.server.exchange(data))

    def until_done(self, call, *arguments):
        for _ in range(50):
            try:
                return call(*arguments)
            except ssl.SSLWantReadError:
                self.carry()
            finally:
                self.carry()
        raise AssertionError("no end")

    def echo(self, data):
        self.tls.write(data)
        self.carry()
        received = b""
        while len(received) < len(data):
            received += self.until_done(self.tls.read, 100_000)
        return received


def context(server, **settings):
    made = ssl.create_default_context(cafile=server.certificate)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_echoes_to_python(server, version):
    client = Client(server, context(server, minimum_version=version, maximum_version=version))
    client.until_done(client.tls.do_handshake)
    name, _, bits = client.tls.cipher()
    assert bits >= 128 and ("GCM" in name or "POLY1305" in name)
    assert client.echo(b"hello") == b"hello"
    large = os.urandom(300_000)
    assert client.echo(large) == large
    client.until_done(client.tls.unwrap)


def test_refuses_older_versions(server):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    client = Client(server, old)
    with pytest.raises(ssl.SSLError, match="protocol version|PROTOCOL_VERSION"):
        client.until_done(client.tls.do_handshake)


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "ADH-AES128-SHA256"])
def test_refuses_weak_ciphers(server, ciphers):
    weak = context(server, maximum_version=ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers(ciphers + ":@SECLEVEL=0")
    client = Client(server, weak)
    with pytest.raises(ssl.SSLError, match="handshake failure|HANDSHAKE_FAILURE"):
        client.until_done(client.tls.do_handshake)


def test_agrees_on_http_or_refuses(tmp_path):
    for offered, chosen in [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)]:
        server = Server(tmp_path)
        made = context(server)
        if offered:
            made.set_alpn_protocols(offered)
        client = Client(server, made)
        client.until_done(client.tls.do_handshake)
        assert client.tls.selected_alpn_protocol() == chosen
        server.stop()
    server = Server(tmp_path)
    made = context(server)
    made.set_alpn_protocols(["h2"])
    client = Client(server, made)
    with pytest.raises(ssl.SSLError, match="no application protocol|NO_APPLICATION_PROTOCOL"):
        client.until_done(client.tls.do_handshake)
    server.stop()


def resumed(server, version):
    """Whether the second of two connections was resumed."""
    made = context(server, minimum_version=version, maximum_version=version)
    first = Client(server, made)
    first.until_done(first.tls.do_handshake)
    assert first.echo(b"a") == b"a"
    session = first.tls.session
    server.end_connection()
    second = Client(server, made, session)
    second.until_done(second.tls.do_handshake)
    assert second.echo(b"b") == b"b"
    return second.tls.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumes_with_tickets_where_they_are_on(tmp_path, version):
    server = Server(tmp_path, "tickets", "2")
    assert resumed(server, version)
    server.stop()


def test_gives_no_tickets_by_default(server):
    client = Client(server, context(server, maximum_version=ssl.TLSVersion.TLSv1_2))
    client.until_done(client.tls.do_handshake)
    assert client.echo(b"a") == b"a"
    assert client.tls.session is None or not client.tls.session.has_ticket


def bridge(server, listener):
    """One connection of a socket, carried over the pipes."""
    peer, _ = listener.accept()
    with peer:
        while data := peer.recv(65_536):
            peer.sendall(server.exchange(data))


def s_client(server, *options, text):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=bridge, args=(server, listener), daemon=True)
        thread.start()
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-CAfile",
             server.certificate, "-servername", "localhost", *options], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output, _ = client.communicate(text, timeout=20)
        return output


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
def test_does_not_renegotiate(server):
    output = s_client(server, "-tls1_2", text="R\n")
    assert "Secure Renegotiation IS supported" in output
    assert "no renegotiation" in output.lower()


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
def test_takes_no_early_data(server):
    output = s_client(server, "-tls1_3", text="")
    assert "Verification: OK" in output
    assert "Max Early Data" not in output or "Max Early Data: 0" in output
