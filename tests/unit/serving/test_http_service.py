"""The endpoints, without a network: answers, refusals, limits, time, freshness."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from patience import patience

pytest.importorskip("faiss")
pytest.importorskip("fastapi")
from starlette.testclient import TestClient
from worlds import built, corpus, encoder, saved, trained

from hardneg.serving.freshness import CheckResult, Freshness
from hardneg.serving.http import watch
from hardneg.serving.http.app import app
from hardneg.serving.http.limits import Limits
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.live_index import LiveIndex
from hardneg.serving.opened_build import OpenedBuild

SMALL = Limits(max_batch=4, timeout=30.0, waiting=2, max_queries=3, max_chars=100, max_k=20)
HASTY = replace(SMALL, timeout=2.0)  # where time is the question; elsewhere a busy machine may take its own


@pytest.fixture(scope="module")
def indexed(toy, tmp_path_factory):
    """An index of half the corpus."""
    folder = tmp_path_factory.mktemp("index")
    path = saved(trained(toy), folder / "a.ckpt")
    built(folder / "i", corpus(toy, lambda row: row < 60), encoder(toy), source={"ckpt_path": path})
    return folder / "i"


@contextmanager
def serving(live, limits=SMALL):
    """A client of the application; `client.service` is what is behind it."""
    made = app(live, limits)
    with TestClient(made, raise_server_exceptions=False) as client:
        client.service = made.state.service
        yield client


@pytest.fixture(scope="module")
def live(indexed):
    return LiveIndex(indexed, device="cpu")


@pytest.fixture
def client(live):
    with serving(live) as client:
        yield client


@pytest.fixture
def hasty(live):
    with serving(live, HASTY) as client:
        yield client


@pytest.fixture(scope="module")
def shared(live):
    """One for tests that change nothing of it."""
    with serving(live) as client:
        yield client


def ask(client, **body):
    return client.post("/search", json=body)


@contextmanager
def busy(client):
    """A worker that is at work on something that takes long."""
    begun, go, real = threading.Event(), threading.Event(), client.service.batcher.ask

    def slow(texts, k):
        client.asked.append(list(texts))
        begun.set()
        go.wait(20)
        return real(texts, k)

    client.asked = []
    client.service.batcher.ask = slow
    thread = threading.Thread(target=ask, args=(client,), kwargs={"query": "first"})
    thread.start()
    begun.wait(10)
    try:
        yield go
    finally:
        go.set()
        thread.join()
        client.service.batcher.ask = real


def test_answers_are_those_of_the_index(shared, live, toy):
    texts = toy.queries.texts.to_pylist()[:3]
    answer = ask(shared, queries=texts, k=7)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said["build"] == live.build.name and said["freshness"] == str(live.freshness)
    for found, expected in zip(said["answers"], live.search(texts, 7), strict=True):
        assert [hit["id"] for hit in found["hits"]] == [hit.id for hit in expected.hits]
        assert [hit["text"] for hit in found["hits"]] == [hit.text for hit in expected.hits]
        assert [hit["score"] for hit in found["hits"]] == pytest.approx([hit.score for hit in expected.hits], abs=1e-6)
    alone = ask(shared, query=texts[0]).json()["answers"][0]["hits"][:7]
    together = said["answers"][0]["hits"]
    assert [hit["id"] for hit in alone] == [hit["id"] for hit in together]
    # A product with one query rounds otherwise than one with several, by the threads of the process.
    assert [hit["score"] for hit in alone] == pytest.approx([hit["score"] for hit in together], abs=1e-6)


BAD = {
    "no JSON": (400, "not JSON", b'{"query": "a"'),
    "empty": (400, "not JSON", b""),
    "not UTF-8": (400, "not JSON", b'{"query": "\xff\xfe"}'),
    "half a surrogate": (400, "not JSON", b'{"query": "\\ud800"}'),
    "deep": (400, "not JSON", b"[" * 2000 + b"]" * 2000),
    "deep inside": (400, "not JSON", b'{"x": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "a number of 3,000 digits": (422, "k: ", b'{"query": "a", "k": ' + b"9" * 3000 + b"}"),
    "infinite k": (422, "k: ", b'{"query": "a", "k": 1e999}'),
    "k is NaN": (422, "k: ", b'{"query": "a", "k": NaN}'),
    "k is a text": (422, "k: ", b'{"query": "a", "k": "3"}'),
    "k is true": (422, "k: ", b'{"query": "a", "k": true}'),
    "k = 0": (422, "k: Input should be greater than or equal to 1", b'{"query": "a", "k": 0}'),
    "k = 21": (422, "k: Input should be less than or equal to 20", b'{"query": "a", "k": 21}'),
    "unknown key": (422, "top: unknown key; the keys are query, queries, k", b'{"query": "a", "top": 1}'),
    "a long unknown key": (422, "xxx...: unknown key", b'{"query": "a", "' + b"x" * 900 + b'": 1}'),
    "4 long unknown keys": (422, "k; ...", json.dumps({f"{n}" * 99: n for n in range(4)}).encode()),
    "300 unknown keys": (422, "300 things are wrong", json.dumps({f"x{n}": n for n in range(300)}).encode()),
    "no query": (422, "give either query", b"{}"),
    "query and queries": (422, "give either query", b'{"query": "a", "queries": ["a"]}'),
    "no queries": (422, "queries: ", b'{"queries": []}'),
    "4 queries": (422, "at most 3 items", b'{"queries": ["a", "b", "c", "d"]}'),
    "blank": (422, "query: is empty", b'{"query": " \\n\\t "}'),
    "one is empty": (422, "queries.1: is empty", b'{"queries": ["a", ""]}'),
    "one is a number": (422, "queries.1: ", b'{"queries": ["a", 1]}'),
    "101 characters": (422, "query: String should have at most 100 characters", b'{"query": "%s"}' % (b"a" * 101)),
    "a list": (422, "", b'["a"]'),
    "a number": (422, "", b"1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_question_is_refused_with_what_is_wrong(shared, name):
    status, says, body = BAD[name]
    answer = shared.post("/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status and says in answer.json()["error"], answer.text
    assert len(answer.text) < 400 and "Traceback" not in answer.text
    assert ask(shared, query="a").status_code == 200


def test_only_plain_json_is_read(shared):
    body = b'{"query": "a"}'
    for headers in (
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ):
        answer = shared.post("/search", content=body, headers=headers)
        assert answer.status_code == 415 and "must" in answer.json()["error"]
    answer = shared.post("/search", content=body, headers={"content-type": 'Application/JSON; charset="UTF-8"'})
    assert answer.status_code == 200


def test_a_large_body_is_refused_whatever_its_headers_say(shared):
    most, kind = SMALL.max_body, {"content-type": "application/json"}

    def pieces(size):
        for _ in range(0, size, 1000):
            yield b" " * 1000

    for size in (most + 1000, 100 * most):
        for content in (b" " * size, pieces(size)):  # with a Content-Length, and in chunks without one
            answer = shared.post("/search", content=content, headers=kind)
            assert answer.status_code == 413 and answer.headers["connection"] == "close"
            assert f"more than {most} bytes" in answer.json()["error"]
    escaped = "".join("\\ud83d\\ude42" for _ in range(100))  # the longest question that is allowed, at its longest
    body = '{"queries": [' + ", ".join([f'"{escaped}"'] * 3) + "]}"
    assert shared.post("/search", content=body.encode(), headers=kind).status_code == 200


def test_other_paths_and_methods_are_refused_in_the_same_form(shared):
    assert shared.get("/nothing").json() == {"error": "Not Found"}
    assert shared.get("/search").status_code == 405 and "error" in shared.get("/search").json()
    schema = shared.get("/openapi.json").json()["paths"]["/search"]["post"]["requestBody"]
    assert set(schema["content"]["application/json"]["schema"]["properties"]) == {"query", "queries", "k"}
    assert shared.get("/docs").status_code == 404
    assert ask(shared, query="a").status_code == 200
    answer = shared.post("/search/", json={"query": "a"}, follow_redirects=False)  # a proxy's https would be lost
    assert answer.status_code == 404 and "location" not in answer.headers
    for path in ("/health", "/freshness"):
        assert shared.head(path).status_code == 200
        assert "head" not in shared.get("/openapi.json").json()["paths"][path]


def test_a_search_that_fails_says_nothing_of_our_inside_and_is_logged(client, caplog, monkeypatch):
    def fails(texts, k):
        raise RuntimeError("/home/somebody/secret")

    with monkeypatch.context() as patch:
        patch.setattr(client.service.batcher, "ask", fails)
        answer = ask(client, query="a")
        health = client.get("/health")
    assert answer.status_code == 500 and health.status_code == 503
    assert "secret" not in answer.text + health.text and "secret" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr(client.service, "_read", fails)
        answer = ask(client, query="a")
    assert answer.status_code == 500 and "secret" not in answer.text and "log" in answer.json()["error"]
    assert ask(client, query="a").status_code == 200


def test_a_score_that_is_no_number_is_a_failure_and_no_broken_json(client, monkeypatch):
    monkeypatch.setattr(OpenedBuild, "text", lambda self, name: "x")
    real = client.service.watch.state.opened.vectors.search
    monkeypatch.setattr(
        client.service.watch.state.opened.vectors,
        "search",
        lambda queries, k: [[(name, float("nan")) for name, _ in row] for row in real(queries, k)],
    )
    assert ask(client, query="a").status_code == 500


def test_what_is_not_answered_in_time_gets_504_and_is_dropped(hasty):
    client = hasty
    with busy(client) as go:
        began = time.monotonic()
        answer = ask(client, query="late")
        assert answer.status_code == 504 and "2 s" in answer.json()["error"]
        assert 1.5 < time.monotonic() - began < 10
        go.set()
        assert ask(client, query="next").status_code == 200
        assert client.asked == [["first"], ["next"]]


def test_a_full_queue_says_when_to_come_again(client):
    with busy(client) as go:
        waiting = [threading.Thread(target=ask, args=(client,), kwargs={"query": "b"}) for _ in range(2)]
        for thread in waiting:
            thread.start()
        batcher = client.service.batcher
        until = time.monotonic() + patience(5)
        while batcher._came - batcher._went < 2 and time.monotonic() < until:
            time.sleep(0.005)
        answer = ask(client, query="c")
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        go.set()
        for thread in waiting:
            thread.join()


def call(client, receive, body=b""):
    """Ask at the level of ASGI; returns the messages of the answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "method": "POST", "path": "/search", "query_string": b"", "headers": headers}
    sent = []

    async def send(message):
        sent.append(message)

    client.portal.call(client.app, scope, receive, send)
    return sent


def test_a_client_that_goes_away_costs_no_work_that_has_not_begun(client, caplog):
    body = b'{"query": "gone"}'
    messages = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    with busy(client) as go:
        assert call(client, receive, body)[0]["status"] == 499
        messages.append({"type": "http.disconnect"})
        assert call(client, receive, body)[0]["status"] == 499  # in the middle of its body
        go.set()
        assert ask(client, query="next").status_code == 200
        assert client.asked == [["first"], ["next"]]
    assert not caplog.text


def test_a_body_that_does_not_come_is_not_waited_for(hasty):
    async def receive():
        await asyncio.sleep(20)

    sent = call(hasty, receive, b" " * 99)
    assert sent[0]["status"] == 408 and (b"connection", b"close") in sent[0]["headers"]


def test_health_asks_the_index_once_a_second(client, live):
    answers, batcher, asked = [client.get("/health") for _ in range(5)], client.service.batcher, []
    assert all(answer.json() == {"status": "ok", "build": live.build.name, "fresh": True} for answer in answers)
    real = batcher.ask
    batcher.ask = lambda texts, k: [asked.append(texts), *real(texts, k)][1:]
    client.service._probed -= 2
    for _ in range(5):
        assert client.get("/health").status_code == 200
    assert len(asked) == 1


def test_health_says_that_it_does_not_answer_in_time(hasty):
    with busy(hasty) as go:
        assert hasty.get("/health").status_code == 503
        go.set()
    assert hasty.get("/health").status_code == 200


def test_freshness_is_told_and_examined_anew_when_asked_but_not_always(client, live, monkeypatch):
    first = client.get("/freshness").json()
    assert first["fresh"] and not first["behind"] and first["build"] == live.build.name
    about = {finding["about"] for finding in first["findings"]}
    assert about == {"model", "files", "canaries", "vectors", "stored", "count"}
    assert 0 <= first["age_seconds"] < 600
    calls, real = [], OpenedBuild.examine
    monkeypatch.setattr(OpenedBuild, "examine", lambda self: calls.append(1) or real(self))
    for _ in range(3):
        assert client.post("/freshness").json()["fresh"]
    assert len(calls) == 1


def stale(self):
    return Freshness(
        self.build.name, self.build.manifest.created, (CheckResult("count", False, "3 are gone"),), "mend it"
    )


def test_an_index_that_is_found_stale_answers_no_more(indexed, live, monkeypatch, caplog):
    monkeypatch.setattr(OpenedBuild, "examine", stale)
    with serving(live) as client:
        assert ask(client, query="a").status_code == 200
        found = client.post("/freshness").json()
        assert not found["fresh"] and found["findings"][0]["says"] == "3 are gone"
        assert "mend" not in found and "To repair it: mend it" in caplog.text
        for answer in (ask(client, query="a"), client.get("/health")):
            assert answer.status_code == 503 and "3 are gone" in answer.json()["error"]
    with serving(LiveIndex(indexed, device="cpu", allow_stale=True)) as client:
        client.post("/freshness")
        assert ask(client, query="a").json()["freshness"].startswith("STALE")
        health = client.get("/health")
        assert health.status_code == 200 and health.json()["fresh"] is False


def test_no_answer_of_a_stale_index_has_a_path(toy, indexed, tmp_path, monkeypatch, caplog):
    other = saved(trained(toy, 1), tmp_path / "b.ckpt")
    live = LiveIndex(indexed, other, "cpu", allow_stale=True)
    with serving(live) as client:
        asked = [lambda: client.get("/freshness"), lambda: client.post("/freshness"), lambda: client.get("/health")]
        bodies = [call().text for call in (*asked, lambda: ask(client, query="a"))]
        monkeypatch.setattr(live, "allow_stale", False)
        refused = [call() for call in (asked[2], lambda: ask(client, query="a"))]
        bodies += [answer.text for answer in refused]
    assert [answer.status_code for answer in refused] == [503, 503]
    for body in bodies:
        assert "the model is another" in body or '"fresh":false' in body
        assert str(tmp_path) not in body and str(indexed.parent) not in body
    assert f"To repair it: hardneg index ckpt_path={other}" in caplog.text


def test_an_examination_that_fails_leaves_what_was_known(client, monkeypatch, caplog):
    def fails(self):
        raise OSError("/home/somebody/secret")

    monkeypatch.setattr(OpenedBuild, "examine", fails)
    answer = client.post("/freshness")
    assert answer.status_code == 503 and "secret" not in answer.text and "secret" in caplog.text
    assert client.get("/freshness").json()["fresh"]


def test_an_examination_may_end_while_it_is_asked_for(live, monkeypatch):
    """The thread that examines runs beside the one that asks: here it is done before that one goes on."""
    watched = watch.Watch(live)
    monkeypatch.setattr(OpenedBuild, "examine", lambda self: self.freshness)
    monkeypatch.setattr(watched._wake, "set", lambda: watched._examine(watched._asked))
    assert watched.examine().done()

    def looked_at(now=time.monotonic):  # within the minute after: there is nothing for the thread to do
        assert watched._asked is None
        return now()

    monkeypatch.setattr(watch.time, "monotonic", looked_at)
    assert watched.examine().done()


def test_a_switch_is_followed_and_a_build_that_does_not_open_is_not(toy, indexed, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.02)
    indexed = shutil.copytree(indexed, tmp_path / "i")
    live = LiveIndex(indexed, device="cpu")
    second = built(indexed, toy, encoder(toy), source=live.build.manifest.source, switch=False)
    path = saved(trained(toy, 1), tmp_path / "b.ckpt")
    third = built(indexed, toy, encoder(toy, 1), source={"ckpt_path": path}, switch=False)
    (tmp_path / "b.ckpt").unlink()
    with serving(live) as client:

        def until(says):
            end = time.monotonic() + patience(20)
            while time.monotonic() < end:
                answer = ask(client, query="a")
                assert answer.status_code == 200
                if says(answer.json()):
                    return answer
                time.sleep(0.01)
            raise AssertionError(answer.text)

        IndexFolder(indexed).switch(second)
        until(lambda said: said["build"] == second.name)
        assert client.get("/freshness").json()["build"] == second.name
        IndexFolder(indexed).switch(third)
        answer = until(lambda said: "another build went live" in said["freshness"])
        assert answer.json()["build"] == second.name and str(tmp_path) not in answer.text
        assert client.get("/freshness").json()["behind"] and client.get("/health").status_code == 200
        IndexFolder(indexed).rollback()
        until(lambda said: "another build" not in said["freshness"])


def test_a_folder_that_cannot_be_read_for_a_while_is_looked_at_again(client, monkeypatch):
    monkeypatch.setattr(watch, "EVERY", 0.01)
    looked, again = [], threading.Event()

    def fails(self):
        looked.append(1)
        if len(looked) > 2:
            again.set()
        raise PermissionError("not now")

    monkeypatch.setattr(LiveIndex, "follow", fails)
    assert again.wait(10) and ask(client, query="a").status_code == 200
