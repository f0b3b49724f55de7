"""The documents that may be mined, named in a file."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from hardneg.data.tables import Texts
from hardneg.data.training_set import TrainingSet
from hardneg.errors import DataError
from hardneg.mining.base import mining_pool
from hardneg.testing.synthetic import make_data, make_training


@pytest.mark.parametrize("text", ["", "\n  \n"])
def test_a_pool_of_no_documents_is_refused(tmp_path, text):
    (tmp_path / "pool.txt").write_text(text)
    with pytest.raises(DataError, match="names no document"):
        mining_pool(make_training([(0, 0)]), str(tmp_path / "pool.txt"))


@pytest.mark.parametrize(
    "write", [str.encode, lambda text: text.encode("utf-8-sig"), lambda text: gzip.compress(text.encode())]
)
def test_a_pool_is_read_as_other_files_of_ids_are(tmp_path, write):
    """With a byte order mark, as Windows writes it, packed, and with ids that hold a blank or a line separator."""
    names = ["d0", " d1", "d\u20282", "d3"]
    data = make_data([(0, 0)], docs=4)
    data = replace(data, corpus=Texts.of(names, data.corpus.texts.to_pylist()))
    (tmp_path / "pool.txt").write_bytes(write("d0\n d1\n\nd\u20282\r\n d3 \n"))
    assert mining_pool(TrainingSet(data, "train"), str(tmp_path / "pool.txt")).tolist() == [0, 1, 2, 3]
    (tmp_path / "pool.txt").write_bytes(write("d0\r d1\r\rd3\r"))
    assert mining_pool(TrainingSet(data, "train"), str(tmp_path / "pool.txt")).tolist() == [0, 1, 3]
    (tmp_path / "pool.txt").write_bytes(b"d0\n\xe9\n")
    with pytest.raises(DataError, match=r"pool\.txt:2: not UTF-8"):
        mining_pool(TrainingSet(data, "train"), str(tmp_path / "pool.txt"))
