"""Drawing for a batch at once: the numbers that drawing for one query after the other gives, and always gave."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from dice import Dice
from one_row import one_row

from hardneg.data.dataset import TrainingRows
from hardneg.data.pair_scores import PairScores
from hardneg.data.ragged import Ragged
from hardneg.data.sampler import Place
from hardneg.data.training_set import TrainingSet
from hardneg.mining.bm25 import BM25
from hardneg.mining.store import Store
from hardneg.negatives.base import Draw, OfflineSource, Setting
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.given import Given
from hardneg.negatives.mixture import ROUNDING_STREAM, Mixture
from hardneg.negatives.random import Random
from hardneg.negatives.row_streams import RowStreams
from hardneg.negatives.stored import Stored
from hardneg.testing.synthetic import make_data

QUERIES, DOCS, DEPTH = 12, 40, 9
LABELS = [(query, (3 * query + more) % DOCS) for query in range(QUERIES) for more in range(1 + query % 3)]
RANDOM_BEFORE = [[11, 29, 1, 23, 0], [16, 26, 15, 3, 7]]
BM25_BEFORE = [[23, 39, 3, 38], [15, 20, 32, 34]]
EPOCHS, ASKED = np.array([0, 3, 3, 0, 7, 1]), np.array([0, 11, 4, 4, 1, 8])


@pytest.fixture
def training():
    rng = np.random.default_rng(0)
    given = Ragged.of(rng.integers(0, QUERIES, 50), rng.integers(0, DOCS, 50), QUERIES)
    data = make_data(LABELS, docs=DOCS, queries=QUERIES)
    pairs = PairScores.of(*rng.integers(0, [[QUERIES], [DOCS]], (2, 300)), rng.random(300))
    object.__setattr__(data, "given", given)
    object.__setattr__(data, "scored", pairs)
    return TrainingSet(data)


@pytest.fixture
def lists(tmp_path):
    """Mined lists of different lengths, some of them empty, with scores of a teacher."""
    rng, shape = np.random.default_rng(1), (QUERIES, DEPTH)
    ids = np.stack([rng.permutation(DOCS)[:DEPTH] for _ in range(QUERIES)]).astype(np.int32)
    ids[4, 3:], ids[8] = -1, -1
    arrays = {"ids": ids, "scores": np.zeros(shape, np.float32), "positive": np.zeros(QUERIES, np.float32)}
    arrays |= {"reasons": (rng.random(shape) < 0.4).astype(np.uint8), "teacher": rng.random(shape, np.float32)}
    arrays["positive_teacher"] = rng.random((QUERIES, 3), np.float32)
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "card.json").write_text(json.dumps({"reasons": ["kept", "known_positives"]}))
    return Store(tmp_path)


@pytest.fixture
def sources(training, lists, tmp_path):
    def stored(k, **more):
        source = Stored(k, BM25(), DEPTH, **more)
        source.use(lists)
        return source

    made = {"random": Random(5), "given": Given(3), "dice": Dice(2)}
    for source in made.values():
        source.prepare(Setting(training, {}, tmp_path))
    made |= {"uniform": stored(4), "pool": stored(2, pool=3), "top": stored(4, sampling="top")}
    made["spread"] = stored(3)
    made["spread"].sampling = "stratified"
    return made


def one_by_one(sources, seed, epoch, query, counts=None, window=None):
    """A row's draws by the formula, each source with a generator of its own."""
    ids, teacher = [], []
    for name, source in sources.items():
        rng = np.random.default_rng((seed, epoch, query, zlib.crc32(name.encode())))
        drawn = source.draw(query, rng, **({"window": window[name]} if name in (window or {}) else {}))
        count = source.k if counts is None else counts[name]
        ids += drawn.ids[:count].tolist()
        teacher += [np.nan] * count if drawn.teacher is None else drawn.teacher[:count].tolist()
    return ids, teacher


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**70 + 5])
def test_a_rows_stream_is_the_one_that_numpy_makes_of_the_same_words(seed):
    streams = RowStreams(seed)
    for stream in (0, zlib.crc32(b"random")):
        queries = np.array([0, 1, 199_999, 2**31 - 1])
        for epoch, query, rng in zip(EPOCHS, queries, streams.each(EPOCHS[:4], queries, stream), strict=False):
            expected = np.random.default_rng((seed, int(epoch), int(query), stream))
            assert rng.bit_generator.state == expected.bit_generator.state
            assert rng.permutation(9).tolist() == expected.permutation(9).tolist()


def test_a_batch_is_drawn_as_its_rows_are(sources):
    mixture = Mixture(sources, ("positive", *sources), seed=5)
    ids, labels, teacher = mixture.draw_batch(EPOCHS, ASKED)
    for row, (epoch, query) in enumerate(zip(EPOCHS.tolist(), ASKED.tolist(), strict=True)):
        expected, scores = one_by_one(sources, 5, epoch, query)
        assert ids[row].tolist() == expected
        np.testing.assert_array_equal(teacher[row], np.array(scores, np.float32))
    assert (labels == np.repeat(np.arange(7) + 1, [source.k for source in sources.values()])).all()


def test_so_is_a_batch_of_a_curriculum(sources):
    chosen = {name: sources[name] for name in ("random", "uniform", "dice")}
    one = Curriculum(
        share={"random": [0.45, 0.1], "uniform": [0.3, 0.9]},
        window={"uniform": [[2, 9], [0, 4]]},
        slots=4,
        shape="linear",
    )
    one.pace.plan(101)
    one.resize(chosen)
    mixture = Mixture(chosen, ("positive", *chosen), seed=5, curriculum=one)
    ids, labels, _ = mixture.draw_batch(EPOCHS, ASKED, batch=40)
    for row, (epoch, query) in enumerate(zip(EPOCHS.tolist(), ASKED.tolist(), strict=True)):
        rng = np.random.default_rng((5, epoch, query, ROUNDING_STREAM))
        shared = one.counts(["random", "uniform"], 0.4, [rng.random()])
        counts = {name: int(shared[name][0]) if name in shared else 2 for name in chosen}
        expected, _ = one_by_one(chosen, 5, epoch, query, counts, {"uniform": one.window_at("uniform", 0.4)})
        assert ids[row].tolist() == expected + [-1] * (mixture.k - len(expected))
        filled = np.repeat([1, 2, 3], list(counts.values())).tolist()
        assert labels[row].tolist() == filled + [3] * (mixture.k - len(filled))


def test_draws_are_those_of_earlier_versions(sources):
    """What the code drew before batches were drawn at once: a run that goes on must see the same."""
    mixture = Mixture({"random": sources["random"]}, ("positive", "random"), seed=1)
    assert mixture.draw_batch(np.array([0, 2]), np.array([3, 7]))[0].tolist() == RANDOM_BEFORE
    mixture = Mixture({"bm25": sources["uniform"]}, ("positive", "bm25"), seed=1)
    assert mixture.draw_batch(np.array([0, 2]), np.array([3, 7]))[0].tolist() == BM25_BEFORE


@pytest.mark.parametrize("name", ["given", "uniform", "random"])
def test_positives_scores_of_a_batch_are_those_of_its_rows(sources, training, name):
    which = np.where(np.arange(3) < training.positives.counts[ASKED][:, None], np.arange(3), -1)
    found = sources[name].positive_teachers(ASKED, which)
    for row, query in enumerate(ASKED.tolist()):
        asked = [np.nan if p < 0 else sources[name].positive_teacher(query, p) for p in which[row].tolist()]
        np.testing.assert_array_equal(found[row], np.array(asked, np.float32))


def test_a_source_that_draws_in_its_own_way_draws_batches_so_too(training, tmp_path):
    class Plain(Random):
        def draw(self, query, rng):
            return Draw(super().draw(query, rng).ids[::-1].copy())

    class Quick(Plain):
        draw_batch = Random.draw_batch

    one = Plain(3)
    one.prepare(Setting(training, {}, tmp_path))
    ids = Mixture({"one": one}, ("positive", "one"), seed=5).draw_batch(EPOCHS, ASKED)[0]
    assert ids.tolist() == [
        one_by_one({"one": one}, 5, e, q)[0] for e, q in zip(EPOCHS.tolist(), ASKED.tolist(), strict=True)
    ]
    assert Plain.draw_batch is OfflineSource.draw_batch and Quick.draw_batch is Random.draw_batch


def test_rows_of_a_batch_are_the_single_rows(sources, training):
    chosen = {name: sources[name] for name in ("random", "given", "uniform")}
    rows = TrainingRows(training, Mixture(chosen, ("positive", *chosen), seed=5), positives=2)
    places = [Place(3, row, 17) for row in (5, 0, 11, 4)]
    batch = rows.__getitems__(places)
    for place, key in enumerate(places):
        for name in ("docs", "source", "teacher"):
            np.testing.assert_array_equal(getattr(batch, name)[place], getattr(one_row(rows, *key), name))
    for place, which in zip((0, 1, 3), ([0, 1], [0, -1], [0, 1]), strict=True):
        labelled = training.positives[int(batch.queries[place])]
        assert batch.docs[place, :2].tolist() == [labelled[slot] if slot >= 0 else -1 for slot in which]
