"""A first line with long cells: a header where names are in it for certain, else a row."""

from __future__ import annotations

import pytest
from read_back import negatives, positives, write

from hardneg.data.readers.lines import Complaints
from hardneg.data.readers.table import Table
from hardneg.data.readers.table_files import table_rows
from hardneg.errors import DataError

A, B, C = ("long text " * 6 + end for end in "abc")


def table(path):
    return Table(str(path), dev_share=0, test_share=0).load()


def test_triples_may_begin_with_a_query_that_is_a_name(tmp_path):
    data = table(write(tmp_path / "x.tsv", [f"positive\t{A}\t{B}", f"b\t{B}\t{C}"]))
    assert positives(data) == {"positive": {A}, "b": {B}} and negatives(data) == {"positive": {B}, "b": {C}}


def test_a_first_row_with_one_name_is_told_to_be_one(tmp_path):
    with pytest.raises(DataError, match="looks like a row and not like names of columns"):
        table(write(tmp_path / "x.csv", [f"{A},pos", f"{B},neg"]))


def test_two_names_make_a_header_where_all_short_cells_are_known(tmp_path):
    assert positives(table(write(tmp_path / "x.csv", [f"question,answer,id,{A}", "a,A,1,b"]))) == {"a": {"A"}}
    with pytest.raises(DataError, match="looks like a row"):
        table(write(tmp_path / "y.csv", [f"question,answer,x,{A}", "a,A,1,b"]))


@pytest.mark.parametrize(
    "lines", [["how do I list files,ls -l", "print a file,cat f"], ["1\thow do I list files\tls"] * 2]
)
def test_a_sentence_is_no_name(tmp_path, lines):
    """A CSV's first row of short texts was taken for its header, and lost."""
    path = write(tmp_path / ("x.tsv" if "\t" in lines[0] else "x.csv"), lines)
    with pytest.raises(DataError, match=r":1: the first line looks like a row .*'how do I list files'.*write a header"):
        table(path)
    columns = dict(zip(("query", "positive"), lines[0].replace("\t", ",").split(",")[-2:], strict=True))
    assert len(Table(str(path), columns, dev_share=0, test_share=0).load().queries) == 1  # its user says that it is one


def test_of_a_csv_too_it_is_said_that_the_first_line_is_read_as_the_header(tmp_path, caplog):
    caplog.set_level("INFO")
    assert len(table(write(tmp_path / "x.csv", ["list files,ls", "print a file,cat"])).queries) == 1
    assert "('list files', 'ls') is read as the header; if it is a row, write query,positive above" in caplog.text
    caplog.clear()
    table(write(tmp_path / "y.csv", ["Frage,text", "a,A"]))
    assert "read as the header" not in caplog.text


def test_a_corpus_has_names_of_ours(tmp_path):
    assert len(list(table_rows(write(tmp_path / "corpus.csv", [f"text,{A}", "a,A"]), Complaints("raise")).rows)) == 1
