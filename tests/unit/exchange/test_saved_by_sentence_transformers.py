"""Folders as sentence-transformers leaves them after use, not as it makes them fresh."""

from __future__ import annotations

import numpy as np
import pytest

from hardneg.commands import import_
from hardneg.serving.text_encoder import TextEncoder

sentence_transformers = pytest.importorskip("sentence_transformers")


def test_two_towers_may_each_have_cut_at_a_length_of_their_own(bert, toy, tmp_path):
    """A tokenizer that was used is saved with the length that it was last cut at."""
    modules = pytest.importorskip("sentence_transformers.models")
    lengths = {"query": 4, "document": 9}
    chains = {
        f"{side}_modules": [modules.Transformer(str(bert), max_seq_length=length), modules.Pooling(16)]
        for side, length in lengths.items()
    }
    model = sentence_transformers.SentenceTransformer(modules=[modules.Router.for_query_document(**chains)])
    queries, documents = toy.queries.texts.to_pylist()[:8], toy.corpus.texts.to_pylist()[:8]
    expected = model.encode_query(queries), model.encode_document(documents)
    model.save_pretrained(str(tmp_path / "used"))
    import_.main([str(tmp_path / "used"), str(tmp_path / "used.ckpt")])
    encoder = TextEncoder.load(tmp_path / "used.ckpt", "cpu", "32-true")
    for ours, theirs in zip((encoder.queries(queries), encoder.documents(documents)), expected, strict=True):
        theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
