#!/usr/bin/python3
"""A gateway is killed and all its clients come back to another one at once, each where it was.

  Tests/Clients/storm.py [--clients 10000] [--tls] [--drain] [--runs 1]

Two gateways share hub, event store and presence. The clients are all at one of them, in durable channels in which
publications go on all the while; bystanders are at the other. The first is killed with SIGKILL: each client finds
out by itself, waits 0.5 to 1 s, then 1 to 2 and so on, and dials the other gateway with its position and session.
Every client holds every publication to the one before it. With --drain the first is ended with SIGTERM instead: it
has to end with 0 within 25 s, and its clients come back when they were told to. Exit code 0 when all were back within 15 s and nothing was
missed, doubled or wrong. SAPPHIRE_BIN names the folder of the executables.
"""
import argparse
import http.client
import json
import os
import select
import ssl
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True

from platform_under_test import ROOT, Gateway, Sapphire, eventually  # noqa: E402

# What makes a run a failure, whatever else it was.
FAULTS = ["gaps", "doubles", "other_epochs", "wrong", "unrecoverable", "refused", "disturbed", "broken"]
PREFIX = "log:storm"
WITHIN = 15


def fleet_program():
    """Compiles the fleet where the source is newer than the program."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fleet.c")
    program = os.path.join(ROOT, ".build", "test", "fleet")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(program), exist_ok=True)
        subprocess.run(["gcc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-o", program, source, "-lssl", "-lcrypto"],
                       check=True)
    return program


class Fleet:
    """The clients: a process of its own, commands in, JSON lines out."""

    def __init__(self, clients, bystanders, channels, port, other_port, ca=None):
        words = [clients, bystanders, channels, PREFIX, port, other_port, *([ca] if ca else [])]
        self.process = subprocess.Popen([fleet_program(), *map(str, words)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, start_new_session=True)

    def ask(self, command, seconds=30):
        self.tell(command)
        assert select.select([self.process.stdout], [], [], seconds)[0], f"the fleet does not answer {command}"
        line = self.process.stdout.readline()
        assert line, f"the fleet ended with {self.process.wait(5)}"
        return json.loads(line)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def wait(self, key, number, seconds):
        eventually(seconds, f"{number} {key}", lambda: self.ask("status")[key] == number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(5)
        self.process.stdin.close()
        self.process.stdout.close()


class Publisher(threading.Thread):
    """Publishes {"n", "t"} to the channels in turn, `rate` a second, each again until it is acknowledged."""

    def __init__(self, platform, channels, rate):
        super().__init__(daemon=True)
        self.platform, self.channels, self.rate = platform, channels, rate
        self.offsets = [0] * channels
        self.retries = 0
        self.failure = None
        self._halted = threading.Event()
        self._connection = None

    def publish(self, channel):
        number = self.offsets[channel] + 1
        name = f"{PREFIX}{channel}"
        body = json.dumps({"channel": name, "data": {"n": number, "t": time.monotonic_ns()},
                           "idempotency_key": f"{name}-{number}"})
        for _ in range(50):
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._connection.request("POST", "/api/publish", body, {"X-API-Key": self.platform.key})
                answer = self._connection.getresponse()
                result = json.loads(answer.read())
                if answer.status == 200:
                    assert result["result"]["offset"] == number, (channel, number, result)
                    self.offsets[channel] = number
                    return
            except (OSError, http.client.HTTPException):
                self._connection = None
            self.retries += 1
            self._halted.wait(0.1)
        raise AssertionError(f"publication {number} of {name} was not acknowledged")

    def _connect(self):
        host = self.platform.url.split("://")[1]
        if self.platform.context:
            return http.client.HTTPSConnection(host, timeout=10, context=self.platform.context)
        return http.client.HTTPConnection(host, timeout=10)

    def run(self):
        began, sent = time.monotonic(), 0
        try:
            while not self._halted.is_set():
                self.publish(sent % self.channels)
                sent += 1
                self._halted.wait(max(0, began + sent / self.rate - time.monotonic()))
        except AssertionError as failure:
            self.failure = failure

    def halt(self):
        self._halted.set()
        self.join(60)
        if self.failure:
            raise self.failure


def cpu_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def members(platform, channel):
    answer = platform.post("/api/presence_stats", {"channel": f"{PREFIX}{channel}"}, platform.key)[2]
    return answer["result"]["num_clients"]


def counted(platform):
    """What the gateway says of limits that were reached and of handshakes that failed."""
    lines = platform.get("/metrics")[2].decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines
             if line.startswith(("sapphire_limit_reached_total{", "sapphire_tls_failures_total{"))]
    return {name.split("{")[1].rstrip("}"): int(value) for name, value in pairs if value != "0"}


def storm(platform, clients, bystanders, channels, rate, steady=2.0, drains=False):
    """One storm on a platform that runs; what the fleet counted, and what it cost."""
    certificate, key = (os.path.join(platform.data, "tls", name) for name in ("certificate.pem", "key.pem"))
    environment = {"SAPPHIRE_TLS_CERTIFICATE": certificate, "SAPPHIRE_TLS_KEY": key} if platform.context else {}
    with Gateway(platform, environment=environment) as doomed:
        publisher = Publisher(platform, channels, rate)
        # Each channel has a history, so that every welcome names a position.
        for channel in range(channels):
            publisher.publish(channel)
        survivor = int(platform.url.rsplit(":", 1)[1])
        ca = certificate if platform.context else None
        # Two processes: who is in is not to wait for those who come back at their own end.
        with Fleet(clients, 0, channels, doomed.port, survivor, ca) as fleet, \
                Fleet(0, bystanders, channels, doomed.port, survivor, ca) as others:
            fleet.wait("open", clients, 60)
            others.wait("open", bystanders, 60)
            publisher.start()
            try:
                time.sleep(steady)
                gateway = platform.pid("gateway")
                before = cpu_seconds(gateway)
                if not drains:
                    doomed.kill()
                mark = " ".join(map(str, ["mark", time.monotonic_ns(), *publisher.offsets]))
                fleet.tell(mark)
                others.tell(mark)
                drained = doomed.drain() if drains else None
                fleet.wait("returned", clients, 60)
                cost = cpu_seconds(gateway) - before
            finally:
                publisher.halt()
            final = " ".join(map(str, ["final", *publisher.offsets]))
            for part, size in (fleet, clients), (others, bystanders):
                part.tell(final)
                part.wait("done", size, 20)
            report = fleet.ask("report")
            for name, value in others.ask("report").items():
                if name in FAULTS or name == "publications":
                    report[name] += value
                elif name.startswith("bystander"):
                    report[name] = value
            here = [len(range(channel, clients, channels)) + len(range(channel, bystanders, channels))
                    for channel in range(channels)]
            eventually(20, "presence has everybody once",
                       lambda: [members(platform, channel) for channel in range(channels)] == here)
            assert platform.pid("gateway") == gateway, "the other gateway did not live through it"
            report["gateway_counted"] = counted(platform)
    if drains:
        report["drained_s"] = round(drained[1], 2)
        assert drained[0] == 0 and drained[1] < 25, f"the drain ended with {drained[0]} after {drained[1]} s"
        assert report["told"] == clients, f"{report['told']} of {clients} were told to reconnect"
    report.update(clients=clients, bystanders=bystanders, published=sum(publisher.offsets),
                  publisher_retries=publisher.retries, gateway_cpu_s=round(cost, 2))
    return report


def faults(report, within=WITHIN):
    found = [f"{name}: {report[name]}" for name in FAULTS if report[name]]
    if report["last_s"] > within:
        found.append(f"the last one was back after {report['last_s']} s")
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--clients", type=int, help="default 10000, with --tls 5000")
    options.add_argument("--tls", action="store_true")
    options.add_argument("--drain", action="store_true")
    options.add_argument("--runs", type=int, default=1)
    chosen = options.parse_args()
    clients = chosen.clients or (5000 if chosen.tls else 10000)
    failed = 0
    for _ in range(chosen.runs):
        platform = Sapphire()
        try:
            platform.start(options=["--tls"] if chosen.tls else [])
            if chosen.tls:
                platform.context = ssl.create_default_context(cafile=os.path.join(platform.data, "tls", "certificate.pem"))
            report = storm(platform, clients, max(10, clients // 10), max(1, clients // 100), rate=50,
                           drains=chosen.drain)
        finally:
            platform.stop()
            platform.remove()
        found = faults(report)
        failed += bool(found)
        print(json.dumps(report))
        print(f"{clients} clients{' with TLS' if chosen.tls else ''} back after {report['p50_s']} s (half), "
              f"{report['p99_s']} s (99 %), {report['last_s']} s (all), "
              f"others waited {report['bystander_p99_s']} s (99 %) meanwhile; {'; '.join(found) or 'nothing missed or doubled'}",
              flush=True)
    print(f"{chosen.runs - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
