"""Four gloo ranks: one decides for all, nobody waits in a collective for a lock, and all share what is mined."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import warm
from filelock import FileLock

from hardneg.data.ragged import Ragged
from hardneg.data.toy import Toy
from hardneg.encoders.static import Static
from hardneg.errors import ConfigError
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.pairs import measures
from hardneg.pairs.consistency import Consistency
from hardneg.pairs.select import select
from hardneg.retrieval import embedding_blocks, model
from hardneg.system import agreement, cache, distributed
from hardneg.teachers.bi_encoder import BiEncoderTeacher
from hardneg.teachers.given_scores import given_scores

WORLD = 4
PATIENCE = 4.0  # seconds that a collective waits
LONGER = 6.0  # seconds that another job holds a lock


def decisions(rank):
    """What each rank gets where each has another opinion."""
    found = {"first": agreement.first(lambda: rank * 10), "everyone": agreement.everyone(rank)}
    found["inside"] = agreement.first(lambda: (distributed.active(), distributed.world_size()))
    agreement.agree("the seed", 1)
    try:
        agreement.agree("the run folder", f"outputs/{rank // 2}")
    except ConfigError as error:
        found["mismatch"] = str(error)
    try:
        agreement.first(lambda: 1 / 0)
    except (ZeroDivisionError, SystemExit) as error:
        found["failed"] = type(error).__name__
    return found


def _fill(folder):
    if folder is not None:
        (folder / "by").write_text(str(os.getpid()))


def behind_a_lock(folder, together):
    """Ask for a folder that another job is building."""
    started = time.monotonic()
    built = (cache.built_together if together else cache.built_once)(folder, _fill)
    waited = time.monotonic() - started
    dist.all_reduce(torch.ones(1))  # nobody is late for what comes next
    return waited, (built / "by").read_text()


def apart(rank, folder):
    """What is said where each rank has a cache of its own."""
    try:
        cache.built_together(folder / f"cache-{rank}" / "layer", _fill)
    except ConfigError as error:
        return str(error)


def source(miner, teacher=None):
    return Stored(k=2, miner=miner, depth=8, teacher=teacher)


SOURCES = {
    "dense": lambda: source(Dense(encoder=Static(dim=8))),
    "bm25": lambda: source(BM25()),
    "bm25 and a teacher": lambda: source(BM25(), BiEncoderTeacher(encoder=Static(dim=8))),
}


def mined(name, folder, training):
    """Mine, with a note of how many texts this rank has embedded."""
    embedded, kept = [0], [embedding_blocks.SIZE, model.embed_rows]

    def counting(towers, table, side, precision, rows, bar):
        embedded[0] += len(rows)
        return kept[1](towers, table, side, precision, rows, bar)

    embedding_blocks.SIZE = 50
    model.embed_rows = counting
    try:
        found = SOURCES[name]()
        found.prepare(Setting(training, {"known_positives": KnownPositives()}, folder, owner="me"))
    finally:
        embedding_blocks.SIZE, model.embed_rows = kept
    store = found.store
    teacher = None if store._teacher is None else np.array(store._teacher.array)
    return {"name": store.folder.name, "new": store.new, "ids": np.array(store.ids), "scores": np.array(store.scores),
            "teacher": teacher, "embedded": embedded[0]}  # fmt: skip


def scored(folder, training):
    """Let a teacher score the negatives that the data name, with a note of how many queries this rank asked about."""

    class Counting(BiEncoderTeacher):
        asked = 0

        def score(self, queries, docs):
            self.asked += len(queries)
            return super().score(queries, docs)

    teacher = Counting(encoder=Static(dim=8))
    teacher.prepare(training.data, folder)
    found = given_scores(teacher, training, folder)
    return {"pairs": found.pairs, "scores": found.scores, "asked": teacher.asked, "left": list_of(folder / "work")}


def list_of(folder):
    return sorted(path.name for path in folder.iterdir())


def kept(folder, training):
    """Filter pairs, with a note of how many of them this rank has measured."""
    measured_here, size = [0], measures.BLOCK
    rule = Consistency(encoder=Static(dim=8), sample=60)
    measure = rule.measure

    def counting(pairs):
        measured_here[0] += len(pairs)
        return measure(pairs)

    rule.measure, measures.BLOCK = counting, 50
    try:
        found = select({"consistency": rule}, training, folder)
    finally:
        measures.BLOCK = size
    return {"name": found.folder.name, "reasons": np.array(found.reasons), "measured": measured_here[0]}


def world():
    from hardneg.data.training_set import TrainingSet

    data = Toy(docs=120, queries=500, names=20, attributes=8).load()
    dice = np.random.default_rng(0)
    rows = np.repeat(np.arange(len(data.queries)), 5)
    return TrainingSet(replace(data, given=Ragged.of(rows, dice.integers(0, 120, len(rows)), len(data.queries))))


def _working(rank, folder):
    found = {"decisions": decisions(rank), "apart": apart(rank, folder)}
    training = world()
    for name in SOURCES:
        found[name] = mined(name, folder / name, training)  # or they would share vectors, being of the same weights
    found["given"] = scored(folder / "given", training)
    found["kept"] = kept(folder / "kept", training)
    return found


def _waiting(rank, folder, together):
    (folder / f"asked-{together}").touch()
    return behind_a_lock(folder / f"busy-{together}", together)


def _rank(rank, do, port, folder, name, *more):
    """Do as one of four ranks, and leave what came of it in the folder."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=WORLD, timeout=timedelta(seconds=PATIENCE))
    torch.save(do(rank, folder, *more), folder / f"{name}-{rank}.pt")
    dist.destroy_process_group()


def started(do, folder, name, *more):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return warm.spawn(_rank, args=(do, port, folder, name, *more), nprocs=WORLD, join=False)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank found; for each lock four wait behind it, while four others work."""
    folder = tmp_path_factory.mktemp("ranks")
    held = {together: FileLock(folder / f"busy-{together}.lock") for together in (False, True)}  # we are another job
    for lock in held.values():
        lock.acquire()
    running = [started(_waiting, folder, f"lock {together}", together) for together in held]
    running.append(started(_working, folder, "work"))
    asked = {}
    while running:
        running = [context for context in running if not context.join(timeout=0.1)]
        asked |= {t: time.monotonic() for t in held.keys() - asked.keys() if (folder / f"asked-{t}").exists()}
        for together in [t for t, since in asked.items() if t in held and time.monotonic() > since + LONGER]:
            held.pop(together).release()

    def left(name, rank):
        return torch.load(folder / f"{name}-{rank}.pt", weights_only=False)

    return [
        left("work", rank) | {f"lock {together}": left(f"lock {together}", rank) for together in (False, True)}
        for rank in range(WORLD)
    ]


def test_rank_0_decides_and_works_as_if_alone(ranks):
    for found in ranks:
        said = found["decisions"]
        assert said["first"] == 0 and said["everyone"] == [0, 1, 2, 3] and said["inside"] == (False, 1)


def test_a_mismatch_is_told_on_every_rank(ranks):
    for found in ranks:
        told = "the ranks do not agree on the run folder: rank 0 has outputs/0, rank 2 has outputs/1"
        assert told in found["decisions"]["mismatch"]


def test_a_rank_with_another_cache_is_told_what_it_does_not_see(ranks):
    """It ended with a traceback of a missing file where it read what rank 0 had made."""
    told = [found["apart"] for found in ranks]
    assert told[0] is None
    for rank, said in enumerate(told[1:], start=1):
        assert f"cache-{rank}/layer was written by another rank but cannot be seen here" in said


def test_what_fails_on_rank_0_ends_the_others(ranks):
    assert [found["decisions"]["failed"] for found in ranks] == ["ZeroDivisionError", *["SystemExit"] * 3]


@pytest.mark.parametrize("together", [False, True])
def test_a_lock_of_another_job_is_waited_for_outside_of_collectives(ranks, together):
    waits, builders = zip(*(found[f"lock {together}"] for found in ranks), strict=True)
    assert min(waits) > PATIENCE, "a collective would have given up"
    assert len(set(builders)) == 1


@pytest.mark.parametrize("name", SOURCES)
def test_ranks_mine_the_store_of_one_process(ranks, name, tmp_path):
    one = mined(name, tmp_path, world())
    for found in ranks:
        assert found[name]["name"] == one["name"] and found[name]["new"]
        np.testing.assert_array_equal(found[name]["scores"], one["scores"])
        np.testing.assert_array_equal(found[name]["ids"], one["ids"])
        if one["teacher"] is not None:
            np.testing.assert_allclose(found[name]["teacher"], one["teacher"], rtol=1e-5)
    shares = [found[name]["embedded"] for found in ranks]
    assert sum(shares) == one["embedded"]
    if name == "bm25 and a teacher":  # blocks of 64 queries
        assert max(shares) < one["embedded"] / 2


def test_ranks_score_given_negatives_as_one_process_does(ranks, tmp_path):
    training = world()
    one = scored(tmp_path, training)
    assert len(one["scores"]) > 5 * len(training.queries) and np.isfinite(one["scores"]).all()
    for found in ranks:
        np.testing.assert_array_equal(found["given"]["pairs"], one["pairs"])
        np.testing.assert_array_equal(found["given"]["scores"], one["scores"])
    asked = [found["given"]["asked"] for found in ranks]
    assert sum(asked) == one["asked"] == len(training.queries) and max(asked) < one["asked"] / 2
    assert not [name for name in one["left"] if name.startswith("given")]


def test_ranks_keep_the_pairs_of_one_process_and_measure_a_share_each(ranks, tmp_path):
    one = kept(tmp_path, world())
    for found in ranks:
        assert found["kept"]["name"] == one["name"]
        np.testing.assert_array_equal(found["kept"]["reasons"], one["reasons"])
        assert 0 < found["kept"]["measured"] < one["measured"] / 2
    assert sum(found["kept"]["measured"] for found in ranks) == one["measured"] == len(one["reasons"])
    assert 0 < one["reasons"].sum() < len(one["reasons"])
