"""The judgements of generated worlds as pairs of rows."""

from __future__ import annotations


def pairs(qrels):
    return set(zip(qrels.queries.tolist(), qrels.docs.tolist(), strict=True))


def everything(data):
    tables = [*data.qrels.values(), data.truth]
    return (data.corpus.fingerprint, data.queries.fingerprint, [sorted(pairs(table)) for table in tables])
