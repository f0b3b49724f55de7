"""A miner over texts alone: a whole corpus, without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardneg.data.tables import RetrievalData, Texts
from hardneg.mining.base import Task


def rank_texts(miner, queries, corpus, k):
    """The miner's hits for some texts."""
    asked = Texts.of(map(str, range(len(queries))), queries)
    none, rows = np.empty(0, np.int32), np.arange(len(queries), dtype=np.int32)
    task = Task(RetrievalData("texts", corpus, asked, {}), np.arange(len(corpus), dtype=np.int32), none, Path())
    return miner.open(task)(rows, np.full((len(queries), 1), -1, np.int32), k)
