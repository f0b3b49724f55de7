"""What every offline source promises: checks of (prepared source, the setting it was prepared in)."""

from __future__ import annotations

import io
import mmap
import pickle
from typing import Any

import numpy as np
import torch

from hardneg.negatives.base import OfflineSource, Setting
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.random import Random


def draws_of(source: OfflineSource, setting: Setting, epoch: int = 0, order: int = 1) -> np.ndarray:
    """The ids drawn for every training query (Q, k), asked in the order of the table or backwards."""
    mixture = Mixture({"it": source}, ("positive", "it"), seed=7)
    return np.stack([mixture.draw(epoch, int(query))[0] for query in setting.training.queries[::order]])[::order]


def draws_k_rows_of_the_corpus(source: OfflineSource, setting: Setting) -> None:
    """Each draw is `k` rows of the corpus as int32, padded with -1, and not all of it is padding."""
    anything = False
    for query in setting.training.queries:
        drawn = source.draw(int(query), np.random.default_rng(0))
        came = f"query {query} got {drawn.ids.dtype} of shape {drawn.ids.shape}"
        assert drawn.ids.dtype == np.int32 and drawn.ids.shape == (source.k,), came
        size = len(setting.training.data.corpus)
        assert drawn.ids.min() >= -1 and drawn.ids.max() < size, f"query {query} got {drawn.ids} of {size} documents"
        scored = drawn.teacher is None or (source.has_teacher and drawn.teacher.shape == (source.k,))
        assert scored, "teacher scores need `has_teacher`, and are one a document"
        anything |= bool((drawn.ids >= 0).any())
    assert anything, "nothing but padding was drawn for any query"


def draws_no_document_twice(source: OfflineSource, setting: Setting) -> None:
    """No document comes twice in one draw."""
    for ids in draws_of(source, setting):
        known = ids[ids >= 0]
        assert len(np.unique(known)) == len(known), f"drawn: {ids}"


def never_draws_a_known_positive(source: OfflineSource, setting: Setting) -> None:
    """A known positive of the query is never drawn, nor a document with the same text (`training.excluded`)."""
    for epoch in range(3):
        for query, ids in zip(setting.training.queries, draws_of(source, setting, epoch), strict=True):
            both = np.intersect1d(ids, setting.training.excluded[int(query)])
            assert not both.size, f"query {query} got its known positives {both} as negatives"


def same_seed_epoch_and_query_draw_the_same(source: OfflineSource, setting: Setting) -> None:
    """The same seed, epoch and query draw the same, in any order and in another process."""
    first = [draws_of(source, setting, epoch) for epoch in range(2)]
    elsewhere = pickle.loads(pickle.dumps(source))  # as in a data-loading worker
    for epoch in (1, 0):
        np.testing.assert_array_equal(draws_of(source, setting, epoch, order=-1), first[epoch])
        np.testing.assert_array_equal(draws_of(elsewhere, setting, epoch), first[epoch])


def draws_a_batch_as_its_rows(source: OfflineSource, setting: Setting) -> None:
    """A batch drawn at once is what its queries draw one by one."""
    queries = setting.training.queries[::-1].astype(np.int64)
    drawn = source.draw_batch(queries, (np.random.default_rng(int(query)) for query in queries))
    for row, query in enumerate(queries.tolist()):
        alone = source.draw(query, np.random.default_rng(query))
        np.testing.assert_array_equal(drawn.ids[row], alone.ids, f"query {query}")
        if alone.teacher is not None:
            assert drawn.teacher is not None, "a batch has teacher scores where its rows have"
            np.testing.assert_array_equal(drawn.teacher[row], alone.teacher, f"query {query}")


def pickles_without_what_is_on_disk(source: OfflineSource, setting: Setting) -> None:
    """The source can be sent to a worker: it holds no tensor, and of a file on disk its place, not its content."""

    class Strict(pickle.Pickler):
        def reducer_override(self, thing: Any) -> Any:
            assert not isinstance(thing, torch.Tensor), "an offline source holds a tensor"
            base: object = thing
            while isinstance(base, np.ndarray):
                assert not isinstance(base, np.memmap), "a memory-mapped array is pickled by value"
                base = base.base
            assert not isinstance(base, mmap.mmap), "a memory-mapped array is pickled by value"
            return NotImplemented

    draws_of(source, setting)  # opens what is opened on first use
    Strict(io.BytesIO()).dump(source)


def mixes_with_other_sources(source: OfflineSource, setting: Setting) -> None:
    """Beside another source it draws what it draws alone."""
    other = Random(2)
    other.prepare(setting)
    both = Mixture({"other": other, "it": source}, ("positive", "other", "it"), seed=7)
    assert both.k == 2 + source.k
    alone = draws_of(source, setting)
    for query, expected in zip(setting.training.queries, alone, strict=True):
        ids, labels, teacher = both.draw(0, int(query))
        assert labels.tolist() == [1] * 2 + [2] * source.k
        np.testing.assert_array_equal(ids[2:], expected)
        assert source.has_teacher or np.isnan(teacher).all()


def reports_plain_numbers(source: OfflineSource, setting: Setting) -> None:
    """`report()` holds plain numbers."""
    assert all(isinstance(value, int | float) for value in source.report().values()), f"it holds {source.report()}"


OFFLINE = [draws_k_rows_of_the_corpus, draws_no_document_twice, never_draws_a_known_positive]
OFFLINE += [same_seed_epoch_and_query_draw_the_same, pickles_without_what_is_on_disk, mixes_with_other_sources]
OFFLINE += [draws_a_batch_as_its_rows, reports_plain_numbers]
