"""Readers: packed files are read as what is in them, whatever their names say."""

from __future__ import annotations

import bz2
import gc
import gzip
import json
import lzma

import pyarrow as pa
import pytest
from read_back import CORPUS, beir, positives

from hardneg.data.readers.beir import Beir
from hardneg.data.readers.collection_files import qrels_by_split, role_of
from hardneg.data.readers.guess import kind_at
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.lines import Complaints
from hardneg.data.readers.packed import packing
from hardneg.data.readers.table import Table
from hardneg.data.readers.table_files import table_rows
from hardneg.errors import DataError


def zstd(text):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    return sink.getvalue().to_pybytes()


PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}
PAIRS = [{"query": "a", "positive": "A"}, {"query": "b", "positive": "B\n"}]
TEXTS = {
    "x.jsonl": "\n".join(map(json.dumps, PAIRS)),
    "x.json": "\ufeff" + json.dumps(PAIRS),
    "x.csv": 'query,positive\na,A\nb,"B\n"\n',
    "x.tsv": 'query\tpositive\na\tA\nb\t"B\n"\n',
}


def test_what_pzstd_packs_is_read(tmp_path):
    """Each of its parts comes behind a frame that says how long it is."""
    notes = bytes.fromhex("502a4d1804000000") + (7).to_bytes(4, "little")
    rows = [json.dumps(row).encode() + b"\n" for row in PAIRS]
    (tmp_path / "x.jsonl.zst").write_bytes(b"".join(notes + zstd(row) for row in rows))
    assert len(Jsonl(str(tmp_path / "x.jsonl.zst"), dev_share=0, test_share=0).load().queries) == 2


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("name", TEXTS)
def test_every_packing_is_read(tmp_path, ending, name):
    whole = PACKED[ending](TEXTS[name].encode())
    path = tmp_path / f"{name}{ending}"
    path.write_bytes(whole)
    assert packing(path) == ending[1:] and kind_at(path) == ("jsonl" if name == "x.jsonl" else "table")
    reader = Jsonl if name == "x.jsonl" else Table
    shares = {"dev_share": 0, "test_share": 0}
    data = reader(str(path), **shares).load()
    assert positives(data) == {"a": {"A"}, "b": {"B\n"}} and data.name == "x"
    path.rename(tmp_path / name)  # a browser may take the ending away and leave the packing, or the other way round
    assert positives(reader(str(tmp_path / name), **shares).load()) == positives(data)
    path.write_text(TEXTS[name])
    assert positives(reader(str(path), **shares).load()) == positives(data)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"{path.name}:.*(truncated|damaged|broken|not read|query field)"):
        reader(str(path), **shares).load()


@pytest.mark.parametrize("ending", PACKED)
def test_packed_parts_of_a_beir_folder(tmp_path, ending):
    beir(tmp_path)
    expected = positives(Beir(str(tmp_path)).load())
    for path in [tmp_path / "corpus.jsonl", *tmp_path.glob("qrels/*")]:
        path.with_name(path.name + ending).write_bytes(PACKED[ending](path.read_bytes()))
        path.unlink()
    assert kind_at(tmp_path) == "beir" and positives(Beir(str(tmp_path)).load()) == expected
    (tmp_path / "corpus.jsonl").write_text("\n".join(CORPUS))
    with pytest.raises(DataError, match=rf"both corpus.jsonl and corpus.jsonl{ending} are there"):
        Beir(str(tmp_path)).load()
    path = tmp_path / f"qrels.dev.tsv{ending}"
    assert role_of(path.relative_to(tmp_path)) == "qrels" and list(qrels_by_split([path])) == ["dev"]


def test_a_spreadsheet_under_another_name_is_named(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(DataError, match=r"x.csv: this is an archive or a spreadsheet"):
        Table(str(tmp_path / "x.csv")).load()


def test_text_that_begins_like_bz2_is_text(tmp_path):
    for name, text in (("x.csv", "BZhang query,BZh9\na,A\n"), ("x.tsv", "BZhang\tb\na\tA\n")):
        (tmp_path / name).write_text(text)
        assert packing(tmp_path / name) is None
        assert positives(Table(str(tmp_path / name), dev_share=0, test_share=0).load()) == {"a": {"A"}}
    (tmp_path / "empty").write_bytes(bz2.compress(b""))
    assert packing(tmp_path / "empty") == "bz2"


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_table_is_to_be_fetched_again_and_files_are_closed(tmp_path, ending):
    path = tmp_path / f"x.csv{ending}"
    whole = PACKED[ending](TEXTS["x.csv"].encode())
    path.write_bytes(whole)
    list(table_rows(path, Complaints("raise")).rows)
    path.write_bytes(whole[: len(whole) - 12])
    with pytest.raises(DataError, match=rf"x.csv{ending}: the {ending[1:]} file is truncated.*download it again"):
        list(table_rows(path, Complaints("raise")).rows)
    gc.collect()
