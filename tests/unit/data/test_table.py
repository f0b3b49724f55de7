"""Tables: columns by name or by usual names, cells as they are, and files that are not what they are called."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from read_back import check_both_modes, negatives, positives, write

from hardneg.data.readers.beir import Beir
from hardneg.data.readers.columns import check_columns
from hardneg.data.readers.hub import Hub
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.lines import Complaints
from hardneg.data.readers.separated import HEAD
from hardneg.data.readers.table import Table
from hardneg.data.readers.table_files import table_rows
from hardneg.errors import ConfigError, DataError


def table(path, **settings):
    return Table(str(path), **{"dev_share": 0, "test_share": 0, **settings}).load()


@pytest.mark.parametrize(
    ("header", "query", "document"),
    [
        ("query,document", 0, 1), ("passage,question", 1, 0), ("Question,Answer", 0, 1), ("sentence1,sentence2", 0, 1),
        ("context,query", 1, 0), ("anchor,positive", 0, 1), ("text1,text2", 0, 1), ("name,body", 0, 1),
        ("document,query_text", 1, 0), ("id,name,body", 1, 2), ("query,passage,source", 0, 1),
    ],
)  # fmt: skip
def test_usual_names_are_recognised_else_two_columns_of_text_in_order(tmp_path, header, query, document):
    cells = [["a b", "c d", "e"], ["f", "g", "h"]]
    lines = [",".join(row[: header.count(",") + 1]) for row in cells]
    data = table(write(tmp_path / "x.csv", [header, *lines]))
    assert positives(data) == {row[query]: {row[document]} for row in cells}


@pytest.mark.parametrize("header", ["one,two,three", "question,answer,context", "query,negative"])
def test_what_is_not_clear_is_asked_for(tmp_path, header):
    path = write(tmp_path / "x.csv", [header, ",".join("abc"[: header.count(",") + 1])])
    with pytest.raises(DataError, match=r"x.csv:2: .*data.columns=\{query: FIELD, positive: FIELD\}"):
        table(path)


def test_columns_are_named(tmp_path):
    path = write(tmp_path / "x.csv", ["question,answer,wrong,other", "a,A,B,C", "b,B,,A"])
    columns = {"query": "question", "positive": "answer", "negative": ["wrong", "other"]}
    data = table(path, columns=columns)
    assert positives(data) == {"a": {"A"}, "b": {"B"}} and negatives(data) == {"a": {"B", "C"}, "b": {"A"}}
    assert data.name == "x"
    with pytest.raises(DataError, match=r"x.csv:2: no column 'wrang' \(there are: question, answer, wrong, other\)"):
        table(path, columns={**columns, "negative": "wrang"})


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"query": "a"}, "names no positive"),
        ({"query": "a", "positive": "b", "querry": "c"}, "data.columns.querry is not a role"),
        ({"query": ["a"], "positive": "b"}, "data.columns.query is"),
        ({"query": "a", "positive": []}, "data.columns.positive is"),
        ({"query": "a", "positive": "b", "score": 3}, "data.columns.score is 3"),
    ],
)
def test_wrong_columns_are_refused(columns, says):
    with pytest.raises(ConfigError, match=says):
        check_columns(columns)


def test_cells_stay_the_text_that_they_are(tmp_path):
    lines = ["query,positive", "007,1.50", 'NA,"two, with a comma"', 'null,"two\nlines ""quoted"""']
    expected = {"007": {"1.50"}, "NA": {"two, with a comma"}, "null": {'two\nlines "quoted"'}}
    assert positives(table(write(tmp_path / "x.csv", lines))) == expected
    assert positives(table(write(tmp_path / "y.csv.gz", lines, gzip.open))) == expected
    marked = [b"\xef\xbb\xbfquery\tpositive", "é\tß".encode()]
    assert positives(table(write(tmp_path / "z.tsv", marked))) == {"é": {"ß"}}


@pytest.mark.parametrize(
    ("name", "encoding", "lines"),
    [
        ("x.csv", "utf-8-sig", ["Frage;Antwort", "a, b;A", 'c;"two\r\nlines; ""x"""']),  # a spreadsheet's, of a German
        ("x.csv", "utf-8", ["sep=;", "Frage;Antwort", "a, b;A", 'c;"two\r\nlines; ""x"""']),
        ("x.csv", "utf-16", ["Frage\tAntwort", '"a, b"\tA', 'c\t"two\r\nlines; ""x"""']),  # its Unicode text
        ("x.tsv", "utf-8", ["query,answer", '"a, b",A', 'c,"two\r\nlines; ""x"""']),
    ],
)
def test_what_spreadsheets_save_is_read(tmp_path, caplog, name, encoding, lines):
    path = tmp_path / name
    path.write_bytes("\r\n".join(lines).encode(encoding))
    assert positives(table(path)) == {"a, b": {"A"}, "c": {'two\r\nlines; "x"'}}


def test_quotes_in_tsv_are_text_unless_they_enclose_cells(tmp_path):
    """Read as CSV's, the quote before `b` would go on to that before `e`, and three rows would be one."""
    lines = ["query\tpositive", "a\tA", 'b\t"B', "c\tC", 'd\t"D" and', '"e" or\t"E"']
    expected = {"a": {"A"}, "b": {'"B'}, "c": {"C"}, "d": {'"D" and'}, '"e" or': {'"E"'}}
    assert positives(table(write(tmp_path / "x.tsv", lines))) == expected
    quoted = ['"query"\tpositive', 'a\t"A ""x"""', "b\tB"]
    assert positives(table(write(tmp_path / "y.tsv", quoted))) == {"a": {'A "x"'}, "b": {"B"}}
    over_lines = [*quoted, 'c\t"C', 'more"', 'd\t"D\tE"']
    assert positives(table(write(tmp_path / "z.tsv", over_lines)))["c"] == {"C\nmore"}


def test_triples_of_text_need_no_header(tmp_path, caplog):
    """MS MARCO's triples.train.small.tsv, in which quotes are text."""
    caplog.set_level("INFO")
    lines = ["a\t" + "A" * 50 + "\tX", 'b\t"B\tX', 'b\t"B\t"Y']
    data = table(write(tmp_path / "triples.train.small.tsv", lines))
    assert positives(data) == {"a": {"A" * 50}, "b": {'"B'}} and negatives(data) == {"a": {"X"}, "b": {"X", '"Y'}}
    assert "no header in the first line, which is read as a row; columns are query, positive, negative" in caplog.text


def test_short_pairs_of_tsv_need_no_header(tmp_path, caplog):
    caplog.set_level("INFO")
    pairs = [f"what is a dog{n}\tan animal{n}" for n in range(21)]
    assert len(table(write(tmp_path / "pairs.tsv", pairs)).queries) == 21
    assert "read as a row; columns are query, positive" in caplog.text
    caplog.clear()
    assert len(table(write(tmp_path / "words.tsv", ["dog\tanimal", "fir\ttree"])).queries) == 1
    assert "('dog', 'animal') is read as the header; if it is a row, write query<tab>positive above" in caplog.text


@pytest.mark.parametrize("header", ["query\tthe text", "Customer question\tOur answer", "what for\tis_duplicate"])
def test_a_header_of_several_words_is_one_by_a_known_name(tmp_path, caplog, header):
    caplog.set_level("INFO")
    rows = table_rows(write(tmp_path / "x.tsv", [header, "a\tA"]), Complaints("raise"), columns=()).rows
    assert [tuple(row) for _, row in rows] == [tuple(header.split("\t"))] and not caplog.text


def test_columns_that_are_named_are_in_a_header(tmp_path):
    path = write(tmp_path / "x.tsv", ["Frage von Kunden\tWas wir sagen", "a\tA"])
    columns = {"query": "Frage von Kunden", "positive": "Was wir sagen"}
    assert positives(table(path, columns=columns)) == {"a": {"A"}}


LONG = "How did you like the answer that our support gave you?"  # as surveys export their questions


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_header_may_have_long_names_beside_a_name_for_certain(tmp_path, kind):
    sign = {"csv": ",", "tsv": "\t"}[kind]
    for name in ("question", "Frage"):  # which is known, and which is named
        path = write(tmp_path / f"x.{kind}", [f"{name}{sign}{LONG}", f"a{sign}A"])
        assert positives(table(path, columns={"query": name, "positive": LONG})) == {"a": {"A"}}


def test_long_names_of_columns_that_are_not_read_are_no_matter(tmp_path):
    assert positives(table(write(tmp_path / "x.csv", [f"question,answer,{LONG}", "a,A,b"]))) == {"a": {"A"}}


def test_the_first_row_comes_without_a_look_at_the_others(tmp_path):
    """What is broken lies behind them, and a cell that goes on behind them is not taken for broken."""
    lines = ["query,positive", *[f'"a{n}","A"' for n in range(HEAD - 2)], '"b', 'c",d', '"e,f', "g,h"]
    path = write(tmp_path / "x.csv", lines)
    assert Table(str(path)).reads() and Table(str(path)).first_row()[1] == {"query": "a0", "positive": "A"}
    with pytest.raises(DataError, match="a quote here does not end"):
        table(path)
    path = write(tmp_path / "y.csv", ["query,positive", '"a,A', 'c"d,e'])
    assert not Table(str(path)).reads(), "as the whole would be refused"
    quotes = write(tmp_path / "x.tsv", ["query\tpositive", 'a\t"A', "b\tB"])
    assert Table(str(quotes)).first_row()[1] == {"query": "a", "positive": '"A'}


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("x.csv", ["Frage, kurz\tAntwort", "a\tA"]),
        ("x.csv", ["Frage, kurz;Antwort", "a;A"]),
        ("x.csv", ["", "Frage;Antwort", "a;A"]),
        ("x.csv", ["query,answer; long", "a,A"]),
        ("x.tsv", ["", "query\tanswer", "a\tA"]),
    ],
)
def test_the_delimiter_is_the_one_of_both_lines(tmp_path, name, lines):
    assert positives(table(write(tmp_path / name, lines))) == {"a": {"A"}}


def test_a_blank_behind_a_closing_quote_costs_no_row(tmp_path):
    path = write(tmp_path / "x.csv", ["query,positive", '"one', 'two" ,b', '"c" ,d'])
    found = positives(table(path))
    assert {query.strip() for query in found} == {"one\ntwo", "c"}


@pytest.mark.parametrize("cell", [r'"say \"x\" now"', r'"say \"x, y\""', r'"\"x\", \\"'])
def test_quotes_behind_backslashes_are_refused_not_mangled(tmp_path, cell):
    """Spark and MySQL write them so: `say \\x\\" now"` was trained on, and a comma within cost the row."""
    path = write(tmp_path / "x.csv", ["query,positive", "a,A", f"b,{cell}"])
    with pytest.raises(DataError, match=r"x.csv:3: a quote within a cell has a backslash before it") as error:
        table(path)
    mend = """export it again with the quote as its escape character, from Spark by .option("escape", '"')"""
    assert str(error.value).endswith(f"; {mend}")
    written = write(tmp_path / "y.csv", ["query,positive", r'"a \d ""x"" \",A', r"b,\n"])
    assert positives(table(written)) == {'a \\d "x" \\': {"A"}, "b": {"\\n"}}


@pytest.mark.parametrize(
    ("reason", "line", "bad"),
    [
        ("wrong column count", 3, "a,b,c"),
        ("empty text", 3, ",b"),
        ("query without positive", 3, "a,"),
        ("empty text", 3, '" ",b'),
    ],
)
def test_bad_rows(tmp_path, reason, line, bad):
    path = write(tmp_path / "x.csv", ["query,positive", "q,p", bad])
    check_both_modes(
        lambda mode: Table(str(path), on_error=mode, dev_share=0, test_share=0), f"{path}:{line}: ", reason
    )


@pytest.mark.parametrize(
    ("name", "before", "bad", "line"),
    [
        ("x.csv", ["query,positive", 'q,"two', 'lines"'], "a,", 4),
        ("x.csv", ["query,positive", 'q,"two', 'lines"'], "a,b,c", 4),
        ("x.csv", ["", "sep=;", "query;positive", "", "q;p", "", ""], "a;", 8),
        ("x.csv", ["query,positive", 'q,5" pipe', "r,s"], "a,", 4),
        ("x.tsv", ["query\tpositive", "", 'q\t"p', "r\ts"], "a\t", 5),
    ],
)
def test_bad_rows_are_told_by_the_line_that_they_begin_in(tmp_path, name, before, bad, line):
    """Not by a count of rows: cells with line breaks and blank lines put the two apart."""
    path = write(tmp_path / name, [*before, bad])
    with pytest.raises(DataError, match=rf"{name}:{line}: "):
        table(path)


def test_a_row_of_a_saved_data_set_is_told_as_datasets_counts(tmp_path):
    rows = [{"query": "a", "positive": "A"}, {"query": "b", "positive": ""}]
    from datasets import Dataset

    Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match=r"saved \[train\]: row 1 \(from 0\): 'positive' is empty"):
        table(tmp_path / "saved")


def test_a_row_of_parquet_is_told_as_pandas_counts(tmp_path):
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"query": ["a", "b", "c"], "positive": ["A", "", "C"]}), path)
    with pytest.raises(DataError, match=r"x.parquet: row 1 \(from 0\): 'positive' is empty"):
        table(path)


def test_a_row_behind_one_that_is_left_out_keeps_its_line(tmp_path):
    path = write(tmp_path / "x.csv", ["query,positive", "a,b,c", "d,e,f", "g,h", "i,", "j,k,l"])
    with pytest.raises(DataError, match=r"x.csv:5: the row has no positive"):
        table(path)


@pytest.mark.parametrize(
    ("name", "lines", "says"),
    [
        ("x.csv", [], "x.csv:1: the file is empty"),
        ("x.csv", ["query,positive"], "a header but no rows"),
        (
            "x.csv",
            ["query,positive", 'a,"b', "c,d", 'e,"f" g'],
            r"x.csv:2: .* a quote here does not end with one .*line 4",
        ),
        ("x.csv", ["how do I write a very long question like this,and its answer", "a,b"], "looks like a row"),
        ("x.csv", ["query,query", "a,b"], "names a column twice"),
        ("x.csv", ["query,positive", b"\xff,b"], "save it as UTF-8"),
        ("x.parquet", ["query,positive"], "not read as .parquet"),
        ("x.arrow", ["query,positive"], "not read as .arrow"),
        ("x.json", ['[{"query": "a",'], "broken JSON"),
        ("x.json", ['["a"]'], "x.json: item 1: the item is a JSON str"),
        ("x.json", ['[{"query": "a", "positive": "A"},', '{"query": "b"}]'], "x.json: item 2: no positive field"),
        ("x.json", ["[]"], "x.json: item 1: the list is empty"),
        ("x.jsonl", ["[]"], "x.jsonl:1: the line is an empty JSON list, not an object"),
        ("x.xlsx", ["query,positive"], "no known table; expected a file"),
    ],
)
def test_files_that_are_not_what_they_are_called(tmp_path, name, lines, says):
    with pytest.raises(DataError, match=says):
        table(write(tmp_path / name, lines))


def test_a_folder_of_splits_and_shards(tmp_path):
    header = "query,positive"
    write(tmp_path / "train-00000-of-00002.csv", [header, "a,A"])
    write(tmp_path / "train-00001-of-00002.csv", [header, "b,B"])
    write(tmp_path / "validation.csv", [header, "c,C"])
    write(tmp_path / "corpus.csv", ["title,text", "t,more", ",D"])
    write(tmp_path / "README.md", ["not a table"])
    data = table(tmp_path)
    assert {split: len(qrels) for split, qrels in data.qrels.items()} == {"train": 2, "dev": 1}
    assert data.corpus.texts.to_pylist() == ["A", "B", "C", "t more", "D"] and data.name == tmp_path.name
    write(tmp_path / "extra.csv", [header, "d,D"])
    with pytest.raises(DataError, match=r"extra\.csv belongs to no split"):
        table(tmp_path)
    (tmp_path / "extra.csv").unlink()
    write(tmp_path / "val.jsonl", ['{"query": "d", "positive": "D"}'])
    with pytest.raises(DataError, match=r"val.jsonl and validation.csv are both dev"):
        table(tmp_path)


def test_a_folder_without_splits_is_one_table(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / f"{name}.jsonl", [json.dumps({"question": name, "answer": name.upper()})])
    assert positives(table(tmp_path)) == {"one": {"ONE"}, "two": {"TWO"}}
    with pytest.raises(DataError, match="no table to train on"):
        table(write(tmp_path / "empty" / "notes.txt", ["a"]).parent)


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        ("biencoder-nq-train.json", "biencoder-nq-dev.json"),
        ("train_pairs.csv", "eval_pairs.csv"),
        ("faq.csv", "val.csv"),
    ],
)
def test_words_in_names_say_the_split_of_a_file(tmp_path, caplog, train, dev):
    """As DPR's data is published; what is called dev was trained on, and then dev was held out of it."""
    caplog.set_level("INFO")
    for name, query in ((train, "a"), (dev, "b")):
        row = {"question": query, "answer": "A"}
        text = json.dumps([row]) if name.endswith(".json") else "\n".join(",".join(x) for x in (row, row.values()))
        (tmp_path / name).write_text(text)
    data = table(tmp_path)
    texts = data.queries.texts.to_pylist()
    found = {split: [texts[row] for row in qrels.queries] for split, qrels in data.qrels.items()}
    assert found == {"train": ["a"], "dev": ["b"]}
    assert (f"by their names dev: {dev}" in caplog.text) == (dev != "val.csv")
    (tmp_path / train).unlink()
    if dev == "val.csv":
        with pytest.raises(DataError, match="no table to train on"):
            table(tmp_path)
    else:
        assert list(table(tmp_path).qrels) == ["train"]  # one table, as a single file of any name is


@pytest.mark.parametrize(
    "negative", ["negatives", "hard_negatives", "hard_negative_1", "neg_1", "Negative", "Hard_Negative"]
)
def test_other_names_of_negatives_are_not_passed_over(tmp_path, negative):
    row = {"query": "a", "positives": ["A"], negative: ["X", "Y"]}
    for number, one in enumerate((row, {"question": "a", "answer": "A", negative: ["X", "Y"]})):
        data = table(write(tmp_path / f"{number}.jsonl", [json.dumps(one)]))
        assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X", "Y"}}


def test_capitals_in_a_header_cost_no_negatives(tmp_path):
    """As spreadsheets have them: query and positive were recognised, and the negatives left unread."""
    data = table(write(tmp_path / "pairs.csv", ["Anchor,Positive,Negative", "a,A,X"]))
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X"}}


def test_lists_of_documents_with_a_list_of_labels(tmp_path):
    """What sentence-transformers' cross-encoders train on, and its `mine_hard_negatives` writes as labeled-list."""
    path = write(tmp_path / "x.jsonl", ['{"query": "a", "docs": ["A", "X", "Y"], "labels": [1, 0, 0]}'])
    data = table(path)
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X", "Y"}} and data.scored is None
    write(path, ['{"anchor": "a", "positive": ["A", "X"], "labels": [3.5, -1]}'])
    with pytest.raises(DataError, match=r"x\.jsonl:1: 'labels' is 3\.5, which is neither 1"):
        table(path)
    data = table(path, positive_from=2)
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X"}}
    assert data.scored.look_up(0, np.array([0, 1])) == pytest.approx([3.5, -1])
    write(path, ['{"anchor": "a", "positive": ["A", "X"], "scores": [0.9, 0.5]}'])  # with output_scores
    with pytest.raises(DataError, match=r"'scores' is 0\.9, .*data.positive_from"):
        table(path)
    for bad, says in (('["A", "X"], "labels": [1]', "1 numbers for 2"), ('["A", "A"], "labels": [1, 0]', "and neg")):
        with pytest.raises(DataError, match=says):
            table(write(path, ['{"query": "a", "docs": ' + bad + "}"]))


def test_scores_that_sentence_transformers_mined(tmp_path):
    """Of `mine_hard_negatives(output_scores=True)`: of the positive, then of each negative."""
    row = {"anchor": "a", "positive": "A", "negative_1": "X", "negative_2": "Y", "scores": [0.9, 0.5, 0.25]}
    data = table(write(tmp_path / "x.jsonl", [json.dumps(row)]))
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X", "Y"}}
    assert data.scored.look_up(0, np.arange(3)) == pytest.approx([0.9, 0.5, 0.25])


@pytest.mark.parametrize("bad", [r'{"query": "b", "positive": "half \ud83d"}', '["b", "B"]'])
def test_a_bad_item_in_a_list_of_objects(tmp_path, bad):
    path = write(tmp_path / "x.json", ['[{"query": "a", "positive": "A"},', bad, "]"])
    reason = "wrong encoding" if "ud83d" in bad else "not an object"
    data = check_both_modes(
        lambda mode: Table(str(path), on_error=mode, dev_share=0, test_share=0), f"{path}: item 2: ", reason
    )
    assert positives(data) == {"a": {"A"}}


def test_labels_that_are_true_or_false(tmp_path):
    rows = [{"text1": "a", "text2": text, "is_duplicate": same} for text, same in (("A", True), ("X", False))]
    data = table(write(tmp_path / "x.jsonl", [json.dumps(row) for row in rows]))
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X"}}


def test_labels_tell_positives_from_negatives_and_scores_need_a_bar(tmp_path):
    path = write(tmp_path / "x.csv", ["sentence1,sentence2,score", "a,A,0.9", "a,B,0.2", "b,B,0.5"])
    with pytest.raises(DataError, match=r"x.csv:2: 'score' is '0.9', which is neither 1 .*data.positive_from=NUMBER"):
        table(path)
    data = table(path, positive_from=0.5)
    assert positives(data) == {"a": {"A"}, "b": {"B"}} and negatives(data) == {"a": {"B"}, "b": set()}
    assert dict(zip(data.scored.pairs.tolist(), data.scored.scores.tolist(), strict=True)) == pytest.approx(
        {0: 0.9, 1: 0.2, (1 << 32) + 1: 0.5}
    )
    data = table(write(tmp_path / "y.csv", ["query,passage,label", "a,A,1", "a,B,0"]))
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"B"}} and data.scored is None


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("bar", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_score_that_is_the_bar_reaches_it_in_a_column_of_either_width(tmp_path, kind, bar):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    scores = pa.array(np.array([bar, bar - 0.01], kind))
    rows = pa.table({"sentence1": ["a", "a"], "sentence2": ["A", "X"], "score": scores})
    parquet.write_table(rows, tmp_path / "x.parquet")
    data = table(tmp_path / "x.parquet", positive_from=bar)
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X"}}


@pytest.mark.parametrize(("bar", "below"), [(1700000050, 1700000000), (16777217, 16777216), (0.7, 0.69999999)])
def test_a_score_below_the_bar_does_not_reach_it_although_float32_would_make_them_one(tmp_path, bar, below):
    path = write(tmp_path / "x.csv", ["sentence1,sentence2,score", f"a,A,{bar}", f"a,X,{below}"])
    data = table(path, positive_from=bar)
    assert positives(data) == {"a": {"A"}} and negatives(data) == {"a": {"X"}}


def test_pairs_without_any_positive_are_told_so(tmp_path):
    path = write(tmp_path / "x.csv", ["sentence1,sentence2,score", "a,A,0", "b,B,0"])
    for bar in (None, 0.5):
        with pytest.raises(DataError, match=r"data set 'x': none of its pairs is a positive: .*data.positive_from"):
            table(path, positive_from=bar)


def test_what_is_read_and_what_is_not_is_said(tmp_path, caplog):
    caplog.set_level("INFO")
    table(write(tmp_path / "x.csv", ["question,answer,notes", "a,A,n"]))
    assert "columns are read as query: question; positive: answer; not used: notes" in caplog.text
    path = write(tmp_path / "y.csv", ["question,answer,prompt", "a,A,Find: "])
    assert table(path).query_prompt == "Find: "
    assert table(path, columns={"query": "question", "positive": "answer"}).query_prompt is None
    assert "y.csv: columns are read as query: question; positive: answer; not used: prompt" in caplog.text


def test_other_readers_name_the_one_for_tables(tmp_path):
    path = write(tmp_path / "pairs.csv", ["query,positive", "a,A"])
    for make in (Jsonl, Beir, Hub):
        with pytest.raises(ConfigError, match=f"use data=table data.path={path}"):
            make(str(path))
    with pytest.raises(ConfigError, match="use data=jsonl"):
        Beir(str(write(tmp_path / "x.jsonl", ["{}"])))
    with pytest.raises(DataError, match="read by data=table"):
        Jsonl(str(tmp_path / "missing")).load()


def test_hub_reads_named_columns(tmp_path):
    from datasets import Dataset

    Dataset.from_list([{"one": "a", "two": "b", "three": "c"}] * 2).save_to_disk(str(tmp_path / "x"))
    data = Hub(
        str(tmp_path / "x"), columns={"query": "two", "positive": "three", "negative": "one"}, test_share=0
    ).load()
    assert positives(data) == {"b": {"c"}} and negatives(data) == {"b": {"a"}}


def test_of_a_wide_table_some_columns_are_named(tmp_path, caplog):
    """The columns alone filled screens, in an error and in the line of what is not used."""
    wide = ",".join(f"c{number}" for number in range(1000))
    path = tmp_path / "wide.csv"
    path.write_text(f"{wide}\n" + ",".join("1" * 1000) + "\n")
    with pytest.raises(DataError, match=r"there are: c0, .*c29 and 970 more\);"):
        Table(str(path)).load()
    path.write_text(f"query,positive,{wide}\n" + "".join(f"who {n},I am {n}" + ",1" * 1000 + "\n" for n in range(3)))
    with caplog.at_level("INFO"):
        Table(str(path), dev_share=0, test_share=0).load()
    assert "not used: c0, " in caplog.text and "c29 and 970 more" in caplog.text
