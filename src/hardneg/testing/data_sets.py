"""What every data set promises: checks of a recipe, and of the tables that it loads."""

from __future__ import annotations

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hardneg.data.kept_set import read, write
from hardneg.data.open_set import Readable
from hardneg.data.tables import RetrievalData


def fingerprints(data: RetrievalData) -> dict[str, str]:
    """What each split is named by: documents, queries and judgements."""
    return {name: data.fingerprint(name) for name in data.qrels}


def loads_the_same_each_time(recipe: Readable) -> None:
    """Loading again gives the same documents, queries and judgements, in the same order."""
    assert fingerprints(recipe.load()) == fingerprints(recipe.load()), "loaded twice, the set differs"


def ids_are_unique(recipe: Readable) -> None:
    """No two documents have the same id, and no two queries."""
    data = recipe.load()
    for what, texts in (("document", data.corpus), ("query", data.queries)):
        counts = texts.ids.value_counts()
        twice = [one["values"] for one in counts.to_pylist() if one["counts"] > 1]
        assert not twice, f"{what} id {twice[0]!r} comes twice"
        assert not texts.ids.null_count and not texts.texts.null_count, f"a {what} has no id or no text"


def judges_what_there_is(recipe: Readable) -> None:
    """Each judgement is of a query and a document by their rows (int32), once in a split, and has a finite score."""
    data = recipe.load()
    assert data.qrels, "there are no judgements"
    for name, qrels in data.qrels.items():
        for what, rows, texts in (("query", qrels.queries, data.queries), ("document", qrels.docs, data.corpus)):
            assert rows.dtype == np.int32, f"{name}: rows are int32, not {rows.dtype}"
            outside = rows[(rows < 0) | (rows >= len(texts))]
            assert not len(outside), f"{name}: there is no {what} {outside[:1]} among {len(texts)}"
        assert len(qrels.queries) == len(qrels.docs) == len(qrels.scores), f"{name}: columns are of different lengths"
        assert np.isfinite(qrels.scores).all(), f"{name}: a score is not finite"
        pairs = np.stack([qrels.queries, qrels.docs])
        assert len(np.unique(pairs, axis=1).T) == len(qrels), f"{name}: a pair is judged twice"


def every_split_has_a_positive(recipe: Readable) -> None:
    """In every split some query has a relevant document: one without could be neither trained on nor measured."""
    empty = [name for name, qrels in recipe.load().qrels.items() if not len(qrels.query_rows)]
    assert not empty, f"nothing is relevant in {', '.join(empty)}"


def comes_back_from_the_cache(recipe: Readable) -> None:
    """What is written into the cache and read again is the same set."""
    data = recipe.load()
    with TemporaryDirectory() as folder:
        write(data, Path(folder))
        again = read(Path(folder))
        assert again.name == data.name and fingerprints(again) == fingerprints(data), "the cached set differs"


def settings_can_be_sent(recipe: Readable) -> None:
    """The recipe pickles, as it goes to the processes of a sweep."""
    assert pickle.loads(pickle.dumps(recipe)) == recipe, "a pickled recipe is another"


DATA = [loads_the_same_each_time, ids_are_unique, judges_what_there_is, every_split_has_a_positive]
DATA += [comes_back_from_the_cache, settings_can_be_sent]
