"""Micro-batches: what is answered together, what is dropped, and what a failure costs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hardneg.errors import UserError
from hardneg.serving.http.batcher import Batcher, Failed, Full


class Slow:
    """Answers `text:k`, when it is let; `asked` are the batches."""

    def __init__(self):
        self.asked, self.go = [], threading.Event()
        self.begun = threading.Event()

    def __call__(self, texts, k):
        self.asked.append((texts, k))
        self.begun.set()
        self.go.wait(10)
        if "bad" in texts:
            raise ValueError("bad")
        return [f"{text}:{k}" for text in texts]


def run(scenario, max_batch=4, waiting=8):
    """Run a scenario with a batcher whose worker is busy with `first`."""

    async def main():
        slow = Slow()
        batcher = Batcher(slow, max_batch, waiting)
        batcher.start()
        first = batcher.submit(["first"], 1)
        await asyncio.to_thread(slow.begun.wait, 10)
        try:
            async with asyncio.timeout(20):
                await scenario(batcher, slow)
                assert await first == ["first:1"]
        finally:
            slow.go.set()
            batcher.stop()
        return slow.asked[1:]

    return asyncio.run(main())


def test_what_comes_while_the_worker_is_busy_is_asked_together_up_to_the_most():
    async def scenario(batcher, slow):
        futures = [batcher.submit([f"q{number}"], 3) for number in range(6)]
        slow.go.set()
        assert await asyncio.gather(*futures) == [[f"q{number}:3"] for number in range(6)]

    assert run(scenario) == [(["q0", "q1", "q2", "q3"], 3), (["q4", "q5"], 3)]


def test_a_batch_has_one_k_and_whole_requests_and_the_oldest_is_never_passed_over_twice():
    async def scenario(batcher, slow):
        futures = [
            batcher.submit(texts, k) for texts, k in [(["a", "b"], 3), (["c"], 9), (["d", "e", "f"], 3), (["g"], 3)]
        ]
        slow.go.set()
        assert await asyncio.gather(*futures) == [["a:3", "b:3"], ["c:9"], ["d:3", "e:3", "f:3"], ["g:3"]]

    assert run(scenario) == [(["a", "b", "g"], 3), (["c"], 9), (["d", "e", "f"], 3)]


def test_one_requests_failure_is_its_own_and_the_worker_goes_on():
    async def scenario(batcher, slow):
        futures = [batcher.submit([text], 3) for text in ("a", "bad", "b")]
        slow.go.set()
        answers = await asyncio.gather(*futures, return_exceptions=True)
        assert answers[0] == ["a:3"] and answers[2] == ["b:3"] and isinstance(answers[1], Failed)
        assert await batcher.submit(["c"], 3) == ["c:3"]

    assert run(scenario)[0] == (["a", "bad", "b"], 3)


def test_a_failure_that_says_what_is_wrong_is_logged_in_a_line_and_any_other_with_its_stack(caplog):
    def ask(texts, k):
        raise UserError("the database is down") if texts == ["known"] else ValueError("unknown")

    async def main():
        batcher = Batcher(ask, 4, 8)
        batcher.start()
        for text in ("known", "unknown"):
            with pytest.raises(Failed):
                await batcher.submit([text], 1)
        batcher.stop()

    asyncio.run(main())
    known, unknown = caplog.records
    assert known.getMessage() == "a search failed: the database is down" and not known.exc_info
    assert unknown.exc_info


def test_a_panic_that_is_no_exception_ends_one_request_and_not_the_worker():
    class Panic(BaseException):
        pass

    async def main():
        def ask(texts, k):
            if texts == ["panic"]:
                raise Panic
            return texts

        batcher = Batcher(ask, 4, 8)
        batcher.start()
        with pytest.raises(Failed):
            await batcher.submit(["panic"], 1)
        assert await batcher.submit(["a"], 1) == ["a"]
        batcher.stop()

    asyncio.run(main())


def test_what_nobody_waits_for_any_more_is_not_asked():
    async def scenario(batcher, slow):
        gone, stays = batcher.submit(["gone"], 3), batcher.submit(["stays"], 3)
        gone.cancel()
        slow.go.set()
        assert await stays == ["stays:3"]

    assert run(scenario) == [(["stays"], 3)]


def test_a_full_queue_refuses_and_has_room_again():
    async def scenario(batcher, slow):
        futures = [batcher.submit(["a"], 3) for _ in range(8)]
        with pytest.raises(Full):
            batcher.submit(["b"], 3)
        futures.append(batcher.submit(["health"], 3, even_if_full=True))
        slow.go.set()
        await asyncio.gather(*futures)
        assert await batcher.submit(["b"], 3) == ["b:3"]

    run(scenario)


def test_the_worker_ends_after_what_has_come_in():
    async def main():
        before = threading.active_count()
        batcher = Batcher(lambda texts, k: texts, 4, 8)
        batcher.start()
        last = batcher.submit(["last"], 1)
        batcher.stop()
        assert await last == ["last"]
        for _ in range(200):
            if threading.active_count() == before:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the worker goes on")

    asyncio.run(main())
