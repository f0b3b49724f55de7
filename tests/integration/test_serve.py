"""hardneg serve as a process: switched under load, sent nonsense, asked slowly, and stopped."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import patience

pytest.importorskip("faiss")
pytest.importorskip("fastapi")

NONSENSE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    b"GET\r\n\r\n",
    b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    b"POST /search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n" + b"x" * 100_000,  # more than it says
    b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Where the run and the index are made, once for all tests here."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def index(made, hardneg, small):
    """A copy of an index of two builds, the folder `i`; returns the names of the live one and the other one."""
    if not (made / "i").exists():
        ckpt = made / "run" / "checkpoints" / "best.ckpt"
        hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "evaluate.before=false",
                f"hydra.run.dir={made}/run")  # fmt: skip
        hardneg("index", f"ckpt_path={ckpt}", "data=toy", f"index.path={made}/i")
        hardneg("index", f"ckpt_path={ckpt}", "data=toy", f"index.path={made}/i", "index=faiss_hnsw", "switch=false")
    shutil.copytree(made / "i", "i")
    listed = [line.split()[:2] for line in hardneg("index", "list", "i").stdout.splitlines()]
    return [next(name for place, name in listed if place == wanted) for wanted in ("live", "beside")]


@contextmanager
def served(*words):
    """The command in a process; yields it, its port and its log."""
    command = [sys.executable, "-m", "hardneg.cli", "serve", "i", "--port", "0", *words]
    with open("log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + patience(100)
        while not (found := re.search(r"serving i on http://127.0.0.1:(\d+); ", Path("log").read_text())):
            assert process.poll() is None and time.monotonic() < until, Path("log").read_text()
            time.sleep(0.05)
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()


def post(connection, body, **headers):
    connection.request("POST", "/search", body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


class Asker(threading.Thread):
    """Asks without a pause over one connection; `builds` are those that answered, in turn."""

    def __init__(self, port):
        super().__init__()
        self.port, self.stop, self.builds, self.failed = port, threading.Event(), [], []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience(30))
        while not self.stop.is_set():
            status, said = post(connection, json.dumps({"queries": ["who is it", "where"], "k": 3}))
            if status != 200 or [len(one["hits"]) for one in said["answers"]] != [3, 3]:
                self.failed.append((status, said))
            else:
                self.builds.append(said["build"])


def nonsense(port, message):
    """Send it and read until the server closes or has answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience(10)) as raw:
        raw.sendall(message)
        raw.settimeout(3)
        try:
            return raw.recv(65536)
        except (TimeoutError, ConnectionResetError):
            return b""


def test_it_is_switched_under_load_between_bad_requests_and_stops_in_order(index, hardneg, hardneg_process):
    first, second = index
    with served() as (process, port):
        askers = [Asker(port) for _ in range(3)]
        for asker in askers:
            asker.start()
        for name, run in ((second, hardneg_process), (first, hardneg), (second, hardneg)):
            run("index", "switch", "i", name)
            until = time.monotonic() + patience(30)
            while any(asker.builds[-1:] != [name] for asker in askers) and time.monotonic() < until:
                for message in NONSENSE:
                    assert not nonsense(port, message).startswith(b"HTTP/1.1 5")
                bad = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(30))
                assert post(bad, b"{")[0] == 400 and post(bad, b'{"query": "a", "x": 1}')[0] == 422
                assert post(bad, b" " * 1_000_000)[0] == 413
        for asker in askers:
            asker.stop.set()
            asker.join()
            assert not asker.failed and {first, second} <= set(asker.builds) and asker.builds[-1] == second
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=patience(30)) == 0
        log = Path("log").read_text()
        assert "Traceback" not in log and f"now answering: fresh: build {second}" in log and "stopped" in log
        assert len(log.splitlines()) < 10  # nothing is logged for each request


def test_clients_that_are_slow_are_let_go_and_what_has_begun_is_answered_at_the_end(index):
    with served("--timeout", "3", "--allow-stale") as (process, port):
        begun = time.monotonic()
        slow = {
            "headers": b"POST /search HTTP/1.1\r\nHost:",
            "body": b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
            "silent": b"",
        }
        raws = {name: socket.create_connection(("127.0.0.1", port), timeout=patience(20)) for name in slow}
        for name, raw in raws.items():
            raw.sendall(slow[name])
        got = {name: raw.makefile("rb").read() for name, raw in raws.items()}  # until the service closes
        assert time.monotonic() - begun < 25
        assert b"408" in got["body"].splitlines()[0] and not got["headers"] and not got["silent"]

        endless = socket.create_connection(("127.0.0.1", port), timeout=patience(20))
        with pytest.raises(OSError), endless:
            endless.sendall(b"GET /health HTTP/1.1\r\n")
            for number in range(100_000):
                endless.sendall(b"X-%d: %s\r\n" % (number, b"a" * 1000))

        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(30))
        connection.request("POST", "/search", b'{"query": "a"}', {"Content-Type": "application/json"})
        process.send_signal(signal.SIGTERM)
        assert connection.getresponse().status == 200
        assert process.wait(timeout=patience(30)) == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=patience(5))


def test_a_stale_index_is_not_served(index, hardneg, small):
    hardneg("train", *small, "seed=2", "trainer.max_epochs=1", "logger=csv", "evaluate.before=false",
            "hydra.run.dir=other")  # fmt: skip
    other = "other/checkpoints/best.ckpt"
    assert "STALE" in hardneg("serve", "i", "--port", "0", "--ckpt-path", other, code=2).stderr
    with served("--ckpt-path", other, "--allow-stale") as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(30))
        status, said = post(connection, b'{"query": "a"}')
        assert status == 200 and said["freshness"].startswith("STALE")
        connection.request("GET", "/freshness")
        found = json.loads(connection.getresponse().read())
        assert not found["fresh"] and "mend" not in found
        assert "To repair it: hardneg index ckpt_path=" in Path("log").read_text()
        connection.request("HEAD", "/health")
        answer = connection.getresponse()
        assert answer.status == 200 and int(answer.headers["content-length"]) > 0 and answer.read() == b""
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read())["fresh"] is False
