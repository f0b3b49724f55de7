"""The whole way of an index in every store: built, asked, built again with changes, switched, rolled back, pruned."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import STORES, built, corpus, saved, trained

from hardneg.errors import UserError
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.live_index import LiveIndex
from hardneg.serving.text_encoder import TextEncoder

K = 5


@pytest.mark.parametrize("name", STORES)
def test_an_index_is_built_asked_changed_switched_rolled_back_and_pruned(toy, tmp_path, store, name):
    path = saved(trained(toy), tmp_path / "a.ckpt")
    made, root = TextEncoder.load(path, "cpu"), tmp_path / "i"
    backend, folder, source = store(name)(str(root)), IndexFolder(root), {"ckpt_path": path}
    backend.check()
    more = [] if backend.lossless else [f"filler {number}" for number in range(200)]  # codes are learnt from 256
    before = corpus(toy, lambda row: row < 100, more=more)
    after = corpus(
        toy, lambda row: 3 < row < 110, lambda row, text: f"{text} x" if row == 50 else text, [*more, "brand new"]
    )

    first = built(root, before, made, backend, source)
    live = LiveIndex(root, device="cpu")
    answers(live, first, before, made, backend)

    second = built(root, after, made, backend, source, switch=False)
    with folder.writing():
        folder.put_beside(second)
        folder.prune(1, second)
    answers(live, first, before, made, backend)
    with folder.writing():
        folder.switch(second)
    answers(live, second, after, made, backend)
    assert second.manifest.measured["recall@10"] > (0.99 if backend.lossless else 0.5)

    with folder.writing():
        assert folder.rollback().name == first.name
    answers(live, first, before, made, backend)
    with folder.writing():
        folder.switch(second)
        folder.prune(1, second)
    answers(live, second, after, made, backend)
    live.close()  # it held the first one while it asked it
    with folder.writing():
        folder.prune(1, second)
    assert [build.name for build in folder.builds()] == [second.name] and not first.folder.exists()
    if STORES[name][-1]:  # and nothing of it is left at the server
        with pytest.raises(UserError, match="is not there"):
            backend.open(first.vectors)


def answers(live, build, data, made, backend):
    """Every answer is of this build, and what an exact search of its documents finds."""
    queries = [*data.corpus.take(np.array([10, 50])), "brand new"]
    found = live.search(queries, K)
    assert {answer.build for answer in found} == {build.name}
    assert all(answer.freshness.startswith("fresh") and answer.freshness.endswith("checked)") for answer in found)
    ids = data.corpus.ids.to_pylist()
    exact = made.queries(queries) @ made.documents(data.corpus.texts.to_pylist()).T
    for answer, scores in zip(found, exact, strict=True):
        assert len(answer.hits) == K and {hit.id for hit in answer.hits} <= set(ids)
        assert [hit.text for hit in answer.hits] == data.corpus.take(np.array([ids.index(h.id) for h in answer.hits]))
        if backend.lossless:
            np.testing.assert_allclose([hit.score for hit in answer.hits], np.sort(scores)[::-1][:K], atol=1e-4)
