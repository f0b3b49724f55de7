"""A body that is too large is refused in a way that its client sees, at a server of a small application."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time

import pytest
from patience import patience

pytest.importorskip("fastapi")
pytest.importorskip("httptools")
import uvicorn
from fastapi import HTTPException, Request

from hardneg.serving.http.body import read_body
from hardneg.serving.http.connection import guarded
from hardneg.serving.http.service import as_json

MOST = 1000


async def application(scope, receive, send):
    try:
        answer = as_json({"size": len(await read_body(Request(scope, receive), MOST))})
    except HTTPException as error:
        answer = as_json({"error": error.detail}, error.status_code, dict(error.headers or {}))
    await answer(scope, receive, send)


@pytest.fixture
def port():
    """Where a server in a thread listens."""
    config = uvicorn.Config(application, http=guarded(60.0), loop="asyncio", ws="none", lifespan="off", log_config=None)
    server, place = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([place],))
    thread.start()
    end = time.monotonic() + patience(10)
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    yield place.getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_far_too_much_gets_the_refusal(port, chunked):
    """Ten megabytes were answered while the client was sending: it found a connection that was reset, and no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(30))
    body = (b" " * 100_000 for _ in range(100)) if chunked else b" " * 10_000_000
    connection.request("POST", "/", body, {"content-type": "application/json"}, encode_chunked=chunked)
    answer = connection.getresponse()
    assert answer.status == 413 and json.loads(answer.read()) == {"error": f"the body has more than {MOST} bytes"}


def test_one_that_asks_first_is_told_before_it_sends(port):
    with socket.create_connection(("127.0.0.1", port), timeout=patience(10)) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 413")
