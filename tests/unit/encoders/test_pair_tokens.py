"""Pairs of texts as tokens."""

from __future__ import annotations

from hardneg.encoders.pair_tokens import PairTokenizer


def test_pairs_that_are_cut_are_counted_as_a_tokenizer_without_a_limit_counts_them(bert):
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(bert)
    tokens = PairTokenizer(saved, 12)
    queries = ["a b", "a " * 9, "c"]
    docs = ["a b c", "b " * 30, ""]
    kept = tokens(queries, docs)
    saved.backend_tokenizer.no_truncation()
    saved.backend_tokenizer.no_padding()
    whole = [len(saved.backend_tokenizer.encode(q, d)) for q, d in zip(queries, docs, strict=True)]
    cut = tokens.cut
    assert (cut.texts, cut.cut) == (3, sum(n > 12 for n in whole)) == (3, 1)
    assert (cut.before, cut.after) == (sum(whole), int(kept.lengths.sum()))
