"""Negatives that became easy give way to the next of their list: Conan-embedding's rule, by hand."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from hardneg.errors import ConfigError
from hardneg.mining.bm25 import BM25
from hardneg.mining.store import Store
from hardneg.negatives.curriculum import Curriculum
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.stored import Stored
from hardneg.negatives.swap import Scored, Swap, Swapped

# Query 0 lists 10 to 17, of which a filter dropped 12; query 1 lists 20 to 23.
LISTS = [[10, 11, 12, 13, 14, 15, 16, 17], [20, 21, 22, 23, -1, -1, -1, -1]]
V1, V2 = Swap(1), Swap(1, ratio=1.2, ceiling=0.7, floor=0.4)


@pytest.fixture
def store(tmp_path):
    ids = np.array(LISTS, np.int32)
    arrays = {"ids": ids, "scores": np.zeros(ids.shape, np.float32), "positive": np.zeros(2, np.float32)}
    arrays |= {"reasons": (ids == 12).astype(np.uint8), "teacher": ids.astype(np.float32)}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "card.json").write_text(json.dumps({"reasons": ["kept", "known_positives"]}))
    return Store(tmp_path)


def source(store, k=2, **more):
    made = Stored(k, BM25(), depth=8, **{"sampling": "top", "swap": V1, **more})
    made.use(store)
    return made


def scored(*rows):
    """(query, document, score) in the order of the steps."""
    queries, docs, scores = zip(*rows, strict=True)
    return Scored(np.array(queries), np.array(docs), np.array(scores, np.float32))


def drawn(made, query=0, **more):
    """What `draw` gives, and that a batch gives the same."""
    ids = made.draw(query, np.random.default_rng(3), **more)
    batch = made.draw_batch(np.array([query]), iter([np.random.default_rng(3)]), **more)
    assert batch.ids[0].tolist() == ids.ids.tolist()
    if ids.teacher is not None:
        np.testing.assert_array_equal(batch.teacher[0], ids.teacher)
    return ids.ids.tolist()


@pytest.mark.parametrize(
    ("first", "now", "v1", "v2"),
    [
        (0.60, 0.50, True, False),  # 1.15 * 0.50 = 0.575 < 0.60; 1.2 * 0.50 = 0.60 is not
        (0.60, 0.53, False, False),  # 0.6095, 0.636
        (0.60, 0.49, True, True),  # 0.5635, 0.588
        (0.99, 0.81, False, False),  # 0.9315 < 0.99, but it is above 0.8 still
        (0.96, 0.75, True, False),  # 0.8625, 0.90 < 0.96, and above 0.7 still
        (0.39, 0.45, False, True),  # below 0.4 when it was first drawn
        (0.50, 0.60, False, False),  # harder than it was
        (0.10, -0.20, True, True),
        (0.10, -0.90, False, True),  # the first version bounds the absolute value
    ],
)
def test_the_rules_of_both_versions(first, now, v1, v2):
    pair = np.array([first], np.float32), np.array([now], np.float32)
    assert (V1.easy(*pair)[0], V2.easy(*pair)[0]) == (v1, v2)


def test_without_a_ceiling_any_fall_counts():
    assert Swap(1, ceiling=None).easy(np.array([90.0], np.float32), np.array([70.0], np.float32))[0]


def test_what_became_easy_gives_way_to_the_next_of_the_list(store):
    made = source(store)
    assert drawn(made) == [10, 11]
    assert made.judge(scored((0, 10, 0.7), (0, 11, 0.7))) == (2, 0, 0), "the first scores"
    version = made.version
    assert made.judge(scored((0, 10, 0.5), (0, 11, 0.69))) == (2, 1, 1)
    assert made.version == version + 1, "what workers have fetched ahead is void"
    assert drawn(made) == [11, 13], "12 was dropped by a filter"
    assert made.judge(scored((0, 11, 0.65), (0, 13, 0.3))) == (2, 0, 0) and made.version == version + 1
    assert made.judge(scored((0, 11, 0.6), (0, 13, 0.2))) == (2, 2, 2)
    assert drawn(made) == [14, 15] and drawn(made, query=1) == [20, 21]


def test_first_and_last_of_several_scores_since_the_last_look_count(store):
    made = source(store)
    assert made.judge(scored((0, 10, 0.7), (1, 20, 0.1), (0, 10, 0.9), (0, 10, 0.6))) == (2, 1, 1)
    assert drawn(made) == [11, 13]


def test_a_used_up_list_keeps_k_and_the_easiest_go_first(store):
    made = source(store, k=3)
    made.judge(scored((1, 20, 0.7), (1, 21, 0.7), (1, 22, 0.7)))
    assert made.judge(scored((1, 20, 0.4), (1, 21, 0.1), (1, 22, 0.3))) == (3, 3, 1)
    assert drawn(made, query=1) == [20, 22, 23]


def test_the_next_move_up_into_the_pool_and_into_a_window(store):
    made = source(store, k=1, sampling="uniform", pool=2)
    made.judge(scored((0, 10, 0.7)))
    made.judge(scored((0, 10, 0.5)))
    seen = {made.draw(0, np.random.default_rng(seed)).ids[0] for seed in range(30)}
    assert seen == {11, 13}
    window = {made.draw(0, np.random.default_rng(seed), window=(4, 6)).ids[0] for seed in range(30)}
    assert window == {16, 17}
    assert drawn(made, window=(1, 3)) in ([13], [14])


def test_a_list_keeps_what_the_deepest_window_of_a_curriculum_needs(store):
    curriculum = Curriculum(window={"mined": [[2, 4], [0, 2]]})
    assert curriculum.skipped("mined") == 2 and curriculum.skipped("bm25") == 0
    made = source(store, k=1)
    first, later = [[(1, doc, score) for doc in range(20, 24)] for score in (0.7, 0.5)]
    made.judge(scored(*first), curriculum.skipped("mined"))
    assert made.judge(scored(*later), curriculum.skipped("mined")) == (4, 4, 1)
    assert drawn(made, query=1, window=(2, 4)) == [23]


def test_strata_are_of_what_is_left(store):
    made = source(store, k=2)
    made.sampling, made.has_teacher = "stratified", True
    made.judge(scored((0, 17, 0.7)))
    made.judge(scored((0, 17, 0.1)))
    assert {i for seed in range(40) for i in made.draw(0, np.random.default_rng(seed)).ids} == {10, 11, 13, 14, 15, 16}


def test_a_new_store_begins_anew(store):
    made = source(store)
    made.judge(scored((0, 10, 0.7)))
    made.judge(scored((0, 10, 0.1)))
    made.use(store)
    assert drawn(made) == [10, 11]


def test_a_resumed_run_goes_on_with_first_scores_and_what_is_out(store):
    made, again = source(store), source(store)
    made.judge(scored((0, 10, 0.7), (0, 11, 0.8), (1, 20, 0.3)))
    made.judge(scored((0, 10, 0.1)))
    again.swapped.restore(made.swapped.state())
    for one in (made, again):
        assert drawn(one) == [11, 13]
        assert one.judge(scored((0, 11, 0.5), (1, 20, 0.3))) == (2, 1, 1)
        assert drawn(one) == [13, 14]


def test_workers_get_what_is_out_and_not_the_scores(store):
    made = source(store)
    made.judge(scored((0, 10, 0.7)))
    made.judge(scored((0, 10, 0.1)))
    copied = pickle.loads(pickle.dumps(made))
    assert drawn(copied) == [11, 13] and len(copied.swapped.state()["pairs"]) == 0
    mixture = Mixture({"mined": made}, ("positive", "mined"), seed=1)
    assert pickle.loads(pickle.dumps(mixture)).draw(0, 0)[0].tolist() == [11, 13]


def test_long_lists_in_any_order_give_what_a_plain_count_gives(tmp_path, monkeypatch):
    """Against dictionaries, over many looks."""
    rng = np.random.default_rng(0)
    ids = np.stack([rng.permutation(60)[:40] for _ in range(9)]).astype(np.int32)
    for name, array in {"ids": ids, "scores": ids, "reasons": np.zeros(ids.shape, np.uint8), "positive": ids}.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "card.json").write_text('{"reasons": ["kept"]}')
    swapped, first, out = Swapped(Store(tmp_path)), {}, {query: set() for query in range(9)}
    for _ in range(30):
        rows = [(q, int(rng.choice(ids[q])), float(np.float32(rng.random()))) for q in rng.integers(0, 9, 40).tolist()]
        swapped.judge(V2, 5, scored(*rows))
        last = {}
        for query, doc, score in rows:
            first.setdefault((query, doc), score)
            last[query, doc] = score
        for (query, doc), now in sorted(last.items(), key=lambda pair: pair[1]):
            began = first[query, doc]
            easy = (np.float32(1.2) * np.float32(now) < began and abs(now) < 0.7) or began < 0.4
            if easy and doc not in out[query] and 40 - len(out[query]) > 5:
                out[query].add(doc)
    found = swapped.out(np.arange(9))
    assert [set(ids[query][found[query]].tolist()) for query in range(9)] == list(out.values())
    assert 100 < found.sum() <= 9 * 35


@pytest.mark.parametrize("wrong", [{"every_n_steps": 0}, {"every_n_steps": True}, {"ratio": 0.9}, {"ceiling": 0.0}])
def test_rules_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Swap(**wrong)


def test_a_list_without_others_is_refused():
    with pytest.raises(ConfigError, match="k=8 is depth=8"):
        Stored(8, BM25(), depth=8, swap=V1)
    assert Stored(8, BM25(), depth=8, swap=Swap()).swap is None


def test_of_dot_products_below_zero_what_became_harder_is_not_easy():
    rule = Swap(every_n_steps=1, ceiling=None)
    first = np.array([-10.0, -0.1, -10.0, 0.5, 0.5], np.float32)
    now = np.array([-9.0, -0.1, -13.0, 0.4, 0.45], np.float32)
    assert rule.easy(first, now).tolist() == [False, False, True, True, False]
