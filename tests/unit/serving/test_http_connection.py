"""Connections that a client holds open, at a server of a small application: what uvicorn would keep is let go."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from functools import partial

import pytest
from patience import patience

pytest.importorskip("uvicorn")
pytest.importorskip("httptools")
import uvicorn

from hardneg.serving.http.connection import HEADERS, LINGER, guarded

PATIENCE = 1.0
ASKS = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ENDLESS = b"X-Y: %s\r\n" % (b"a" * 1000)


async def large(scope, receive, send):
    """Answer at /slow after a while, else with more than a socket takes from one who does not read."""
    body = b"x" * (10 if scope["path"] == "/slow" else 20_000_000)
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5 * PATIENCE)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def server():
    """A server in a thread; `server.port` is where."""
    config = uvicorn.Config(large, http=guarded(PATIENCE), loop="asyncio", ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    place = socket.create_server(("127.0.0.1", 0))
    server.port = place.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([place],))
    thread.start()
    until(lambda: server.started)
    yield server
    server.should_exit = server.force_exit = True
    thread.join()


def until(says, seconds=10.0):
    end = time.monotonic() + patience(seconds)
    while not says() and time.monotonic() < end:
        time.sleep(0.01)
    return says()


@pytest.fixture
def client(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience(10)) as raw:
        yield raw
    assert until(lambda: not server.server_state.connections)


def error(answer):
    """Status and error of an answer, which is the last one of its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"connection: close" in lines and b"content-type: application/json" in lines
    return int(head.split()[1]), json.loads(body)["error"]


def test_one_that_asks_again_and_does_not_read_is_let_go(server, client):
    client.sendall(ASKS)
    assert until(lambda: any(one._taking._handle for one in server.server_state.connections))
    client.sendall(ASKS)
    assert until(lambda: not server.server_state.connections, 6 * PATIENCE)


def test_one_whose_answer_is_slow_or_large_is_not(server, client):
    client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    client.sendall(ASKS)
    size = 0
    while size < 20_000_000:
        piece = client.recv(1_000_000)
        assert piece
        size += len(piece)
    time.sleep(1.5 * PATIENCE)  # the time to take an answer has ended with it
    assert server.server_state.connections


def test_headers_that_do_not_end_are_let_go(server, client):
    client.sendall(ASKS[:-2])
    assert client.recv(100) == b""


def test_too_large_headers_are_answered_though_the_client_is_still_sending(server, client):
    client.sendall(ASKS[:-2])
    assert until(lambda: any(one.scope for one in server.server_state.connections))
    (connection,) = server.server_state.connections
    sent = 0
    while sent < 3 * HEADERS:  # piece by piece: what comes at once may be the headers' end with a body
        client.sendall(10 * ENDLESS)
        sent += 10 * len(ENDLESS)
        assert until(partial(lambda wanted: connection._headers == wanted, sent))
    status, why = error(client.makefile("rb").read())
    assert status == 431 and str(HEADERS) in why


def test_headers_without_end_are_not_taken_for_ever(server, client):
    client.sendall(ASKS[:-2])
    with pytest.raises(OSError):
        for _ in range(20 * LINGER * HEADERS // len(ENDLESS)):
            client.sendall(ENDLESS)
            time.sleep(0.0001)


def test_too_large_headers_do_not_get_between_an_earlier_answer(server, client):
    client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + ASKS[:-2])
    try:
        for _ in range(2 * HEADERS // len(ENDLESS)):
            client.sendall(ENDLESS)
        assert client.recv(65_536) == b""
    except OSError:
        pass


@pytest.mark.parametrize("message", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA B\r\n\r\n"])
def test_what_is_no_http_is_refused_in_the_form_of_all_refusals(server, client, message):
    client.sendall(message)
    assert error(client.makefile("rb").read()) == (400, "this is not a valid HTTP request")
