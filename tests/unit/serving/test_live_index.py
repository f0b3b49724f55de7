"""The live index: answers, switches under load, rolls back, and says when it is stale."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from patience import patience
from worlds import built, corpus, encoder, saved, trained

from hardneg.commands.index import main as change
from hardneg.commands.search import main, show
from hardneg.errors import ConfigError, UserError
from hardneg.serving.freshness import StaleIndex
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.live_index import Answer, LiveIndex
from hardneg.serving.opened_build import Hit
from hardneg.serving.text_encoder import TextEncoder


def model(toy, path, seed=0):
    """A checkpoint and its encoder."""
    where = saved(trained(toy, seed), path)
    return where, TextEncoder.load(where, "cpu")


class Load:
    """Two threads that ask without a pause; `seen` are the builds that answered, and the ids."""

    def __init__(self, live, queries):
        self.live, self.queries, self.stop = live, queries, threading.Event()
        self.seen, self.failed = [], []
        self.threads = [threading.Thread(target=self.ask) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def ask(self):
        while not self.stop.is_set():
            try:
                answers = self.live.search(self.queries, 5)
            except BaseException as error:
                self.failed.append(error)
                raise
            (name,) = {answer.build for answer in answers}
            self.seen.append((name, [[hit.id for hit in answer.hits] for answer in answers]))

    def wait_for(self, more):
        asked, until = len(self.seen), time.monotonic() + patience(20)
        while len(self.seen) < asked + more and time.monotonic() < until:
            time.sleep(0.01)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def indexed(toy, tmp_path):
    """An index of half the corpus by model A."""
    path, made = model(toy, tmp_path / "a.ckpt")
    built(tmp_path / "i", corpus(toy, lambda row: row < 60), made, source={"ckpt_path": path})
    return tmp_path / "i"


def test_it_answers_with_ids_scores_texts_and_freshness(toy, indexed):
    live = LiveIndex(indexed, device="cpu")
    made = encoder(toy)
    one, two = live.search([toy.corpus[5], "anything"], k=4)
    assert [len(answer.hits) for answer in (one, two)] == [4, 4]
    exact = made.queries([toy.corpus[5]]) @ made.documents(toy.corpus.texts.to_pylist()[:60]).T
    best = np.argsort(-exact[0], kind="stable")[:4]
    assert [hit.id for hit in one.hits] == toy.corpus.ids.take(best).to_pylist()
    np.testing.assert_allclose([hit.score for hit in one.hits], exact[0][best], atol=1e-5)
    assert [hit.text for hit in one.hits] == toy.corpus.take(best)
    assert one.freshness.startswith(f"fresh: build {live.build.name}")
    with pytest.raises(ConfigError, match="k=0"):
        live.search(["x"], 0)


def test_a_query_without_a_token_finds_nothing(toy, indexed):
    """Its embedding is zero: it got any documents, each with the score 0."""
    nothing, something = LiveIndex(indexed, device="cpu").search(["\u200b", "anything"], k=4)
    assert nothing.hits == () and len(something.hits) == 4
    show("\u200b", nothing)


def test_another_model_is_refused_unless_that_is_allowed_and_then_each_answer_says_so(toy, indexed, tmp_path):
    other, _ = model(toy, tmp_path / "b.ckpt", seed=1)
    with pytest.raises(StaleIndex, match="the model is another"):
        LiveIndex(indexed, other, "cpu")
    live = LiveIndex(indexed, other, "cpu", allow_stale=True)
    assert all(answer.freshness.startswith("STALE") for answer in live.search(["a", "b"]))
    with pytest.raises(StaleIndex, match="60 missing, 0 changed, 0 deleted"):
        LiveIndex(indexed, device="cpu", corpus=toy.corpus)
    (tmp_path / "a.ckpt").unlink()
    with pytest.raises(ConfigError, match="which is not there; give ckpt_path"):
        LiveIndex(indexed, device="cpu")
    with pytest.raises(ConfigError, match=r"^ckpt_path=.*none.ckpt: there is no such file"):
        LiveIndex(indexed, tmp_path / "none.ckpt", "cpu")


def test_a_switch_under_constant_load_fails_no_query_and_mixes_no_builds(toy, indexed, tmp_path):
    """Model and corpus change in every switch; each answer must be what one of the two builds answers on its own."""
    path, made = model(toy, tmp_path / "b.ckpt", seed=1)
    folder = IndexFolder(indexed)
    first = folder.live()
    second = built(indexed, toy, made, source={"ckpt_path": path}, switch=False)
    queries = toy.queries.texts.to_pylist()[:8]
    expected = {}
    for build in (first, second):
        folder.switch(build)
        live = LiveIndex(indexed, device="cpu")
        expected[build.name] = [[hit.id for hit in answer.hits] for answer in live.search(queries, 5)]
    assert expected[first.name] != expected[second.name]
    folder.switch(first)
    load = Load(LiveIndex(indexed, device="cpu"), queries)
    for turn in range(6):
        if turn == 2:  # a build in the making has no part in it
            built(indexed, corpus(toy, lambda row: row % 2), made, source={"ckpt_path": path}, switch=False)
        (folder.switch if turn % 2 == 0 else lambda _: folder.rollback())(second)
        load.wait_for(6)
    load.end()
    assert not load.failed
    assert all(answers == expected[name] for name, answers in load.seen)
    assert {name for name, _ in load.seen} == set(expected)


def test_a_switch_on_the_command_line_is_followed(toy, indexed, capsys):
    live = LiveIndex(indexed, device="cpu")
    second = built(indexed, toy, encoder(toy), source=live.build.manifest.source, switch=False)
    assert live.search(["x"])[0].build != second.name
    change(["switch", str(indexed), second.name[:8]])
    assert second.name in capsys.readouterr().out
    assert live.search(["x"])[0].build == second.name


def test_a_newer_build_that_cannot_be_opened_leaves_the_old_one_answering(toy, indexed, tmp_path):
    live = LiveIndex(indexed, device="cpu")
    before = live.build.name
    path, made = model(toy, tmp_path / "b.ckpt", seed=1)
    newer = built(indexed, toy, made, source={"ckpt_path": path})
    (tmp_path / "b.ckpt").unlink()
    answer = live.search(["x"])[0]
    assert answer.build == before and "another build went live and could not be opened" in answer.freshness
    IndexFolder(indexed).rollback()
    assert live.search(["x"])[0].freshness.endswith("checked)")
    assert newer.name != before


def test_a_build_that_failed_for_a_passing_reason_is_tried_again_but_not_at_each_query(
    toy, indexed, tmp_path, monkeypatch
):
    live = LiveIndex(indexed, device="cpu")
    before, (path, made), tries = live.build.name, model(toy, tmp_path / "b.ckpt", seed=1), []
    newer = built(indexed, toy, made, source={"ckpt_path": path})

    def failing(self, build):
        tries.append(build.name)
        raise RuntimeError("the server is starting")

    with monkeypatch.context() as patch:
        patch.setattr(LiveIndex, "_open", failing)
        answers = [live.search(["x"])[0] for _ in range(3)]
    assert tries == [newer.name]
    assert all(one.build == before and one.freshness.endswith("opened: the server is starting") for one in answers)
    assert live.search(["x"])[0].build == before
    live._failed = live._failed[0], time.monotonic()
    answer = live.search(["x"])[0]
    assert answer.build == newer.name and answer.freshness.endswith("checked)")


@pytest.mark.parametrize("columns", [120, 60])
def test_answers_in_a_pipe_are_a_line_each_with_the_whole_score_and_id(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    hits = tuple(Hit(f"document-{row}-of-a-set", 0.98765, "a long\ntext " * 50) for row in (7, 1234))
    show("query", Answer(hits, "build", "fresh"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and [len(line) for line in lines[1:3]] == [columns, columns]
    assert lines[1].startswith("   1  0.9877  document-7-of-a-set     a long text")
    assert lines[2].startswith("   2  0.9877  document-1234-of-a-set  a long text")


def test_a_narrow_index_is_asked_with_narrow_queries(toy, tmp_path):
    path, made = model(toy, tmp_path / "a.ckpt")
    build = built(tmp_path / "i", toy, made.at(8), source={"ckpt_path": path})
    live = LiveIndex(tmp_path / "i", device="cpu")
    assert live.search([toy.corpus[5]], 1)[0].hits and build.manifest.dim == 8
    assert live.freshness.fresh


def test_a_folder_without_a_live_build_says_how_to_make_one(toy, indexed, tmp_path):
    with pytest.raises(UserError, match="has no live index; hardneg index"):
        LiveIndex(tmp_path / "nothing")
    (indexed / "live.json").unlink()
    with pytest.raises(UserError, match=r"complete builds: .*: hardneg index switch"):
        LiveIndex(indexed)


@pytest.mark.parametrize("queries", [[""], ["a", " \n"]])
def test_an_empty_query_is_refused_before_the_index_is_opened(queries, tmp_path):
    with pytest.raises(UserError, match="a query is empty"):
        main([str(tmp_path / "none"), *queries])
