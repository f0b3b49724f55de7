"""Readers: MS MARCO, mMARCO, MIRACL and TREC as they are published."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import collection_layouts
import layouts
import pytest
from read_back import named, negatives, positives

from hardneg.data.named_files import named_files
from hardneg.data.readers.beir import Beir
from hardneg.data.readers.collection import Collection
from hardneg.data.readers.collection_files import is_collection, qrels_by_split, role_of
from hardneg.data.readers.collection_rows import documents
from hardneg.data.readers.guess import kind_at
from hardneg.data.readers.lines import Complaints
from hardneg.data.readers.trec import trec_documents, trec_topics
from hardneg.errors import ConfigError, DataError

WORLD = layouts.world()


@pytest.mark.parametrize("name", collection_layouts.COLLECTIONS)
def test_every_collection_holds_the_same_world(name, tmp_path):
    write, settings, has = collection_layouts.COLLECTIONS[name]
    folder = write(tmp_path / "set", WORLD)
    assert kind_at(folder) == "collection"
    data = Collection(str(folder), **settings).load()
    assert list(data.qrels) == ["train"] and not data.skipped
    data = replace(data, qrels={split: judged.relevant for split, judged in data.qrels.items()})
    assert positives(data) == {line.query: {layouts.joined(line.positive)} for line in WORLD}
    assert set(data.corpus.texts.to_pylist()) == {layouts.joined(line.positive) for line in WORLD}
    if has:
        given = {query: docs for query, docs in negatives(data).items() if docs}  # MS MARCO has queries nobody judged
        assert given == {line.query: {layouts.joined(doc) for doc in line.negatives} for line in WORLD}
    else:
        assert data.given is None
    held = Collection(str(folder), **settings, dev_share=0.2, test_share=0.2).load()
    assert sorted(held.qrels) == ["dev", "test", "train"]


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("collection.tsv", "documents"),
        ("queries.dev.small.tsv", "queries"),
        ("qrels.dev.small.tsv", "qrels"),
        ("2019qrels-pass.txt", "qrels"),
        ("msmarco-test2019-queries.tsv.gz", "queries"),
        ("msmarco-docs.tsv", "documents"),
        ("msmarco-doctrain-qrels.tsv.gz", "qrels"),
        ("msmarco-doctrain-top100.gz", None),
        ("top1000.dev.tsv", None),
        ("triples.train.ids.small.tsv", "triples"),
        ("triples.train.small.tsv", None),  # texts, which data=table reads with a header
        ("data/google/queries/dev/german_queries.dev.small.tsv", "queries"),
        ("data/google/runs/bm25/run.bm25_german-msmarco.txt", None),
        ("miracl-corpus-v1.0-de/docs-3.jsonl.gz", "documents"),
        ("miracl-v1.0-de/topics/topics.miracl-v1.0-de-dev.tsv", "queries"),
        ("msmarco_v2_passage/msmarco_passage_00.gz", "documents"),
        ("passv2_train_qrels.tsv", "qrels"),
        ("docs/FT911_1", "documents"),
        ("qrels/train.tsv", "qrels"),
        ("README.md", None),
        (".git/docs/x", None),
        ("notes.txt", None),
    ],
)
def test_names_say_what_files_are(path, role):
    assert role_of(Path(path)) == role


def test_splits_are_in_the_names():
    def splits(*names):
        return {split: path.name for split, path in qrels_by_split([Path(name) for name in names]).items()}

    published = splits("qrels.train.tsv", "qrels.dev.tsv", "qrels.dev.small.tsv")
    assert published == {"train": "qrels.train.tsv", "dev": "qrels.dev.tsv", "dev_small": "qrels.dev.small.tsv"}
    assert splits("msmarco-doctrain-qrels.tsv.gz", "msmarco-docdev-qrels.tsv.gz").keys() == {"train", "dev"}
    assert splits("qrels.miracl-v1.0-de-dev.tsv", "qrels.miracl-v1.0-de-test-b.tsv").keys() == {"dev", "test"}
    assert splits("passv2_dev_qrels.tsv", "passv2_dev2_qrels.tsv").keys() == {"dev", "dev2"}
    assert splits("qrels.robust2004.txt").keys() == {"test"}
    assert splits("2019qrels-pass.txt", "2020qrels-pass.txt").keys() == {"2019qrels-pass", "2020qrels-pass"}
    with pytest.raises(DataError, match=r"a.qrels.dev.txt and b.qrels.dev.txt are both dev; choose with 'data.qrels="):
        splits("a.qrels.dev.txt", "b.qrels.dev.txt")


def test_files_are_named_instead(tmp_path):
    folder = collection_layouts.ms_marco(tmp_path, WORLD)
    for old, new in (("collection.tsv", "a.txt"), ("queries.train.tsv", "b.txt"), ("qrels.train.tsv", "c.txt")):
        (folder / old).rename(folder / new)
    with pytest.raises(
        DataError, match=r"no documents \(TSV .*name a file so that it says documents, or .*data.documents="
    ):
        Collection(str(folder)).load()
    data = Collection(str(folder), documents="a.txt", queries=["b.txt"], qrels={"test": "c.txt"}).load()
    assert named(data, "test")[:1] == [("1000", "0", 1.0)] and list(data.qrels) == ["test"] and data.given is None
    with pytest.raises(DataError, match=r"data.queries: .*x.txt: no such file or folder"):
        Collection(str(folder), documents="a.txt", queries="x.txt", qrels={"test": "c.txt"}).load()
    with pytest.raises(ConfigError, match=r"data.qrels is 'c.txt'; name the split"):
        Collection(str(folder), qrels="c.txt")
    with pytest.raises(ConfigError, match=r"data.fields is 'title'; write a list"):
        Collection(str(folder), fields="title")


def test_languages_are_chosen(tmp_path):
    folder = str(collection_layouts.mmarco(tmp_path, WORLD))
    with pytest.raises(DataError, match=r"documents in english, german; choose with data.language="):
        Collection(folder).load()
    with pytest.raises(DataError, match=r"nothing in data.language=french; there is: english, german"):
        Collection(folder, language="french").load()
    assert len(Collection(folder, language="english").load().corpus) == 45


def test_quotes_in_tsv_are_text_and_bad_rows_are_named(tmp_path):
    collection_layouts.tsv(tmp_path / "collection.tsv", [("1", '"open'), ("2", 'a "b" c"'), ("3", "d")])
    collection_layouts.tsv(tmp_path / "queries.tsv", [("7", 'what"')])
    collection_layouts.tsv(tmp_path / "qrels.tsv", [("7", 0, "1", 1)])
    assert Collection(str(tmp_path)).load().corpus.take([0, 1]) == ['"open', 'a "b" c"']
    with (tmp_path / "collection.tsv").open("a") as file:
        file.write("4\ta\tb\n")
    with pytest.raises(DataError, match=r"collection.tsv:4: 3 columns where 2 or 4 are expected; write ID<tab>TEXT"):
        Collection(str(tmp_path)).load()
    assert Collection(str(tmp_path), on_error="skip").load().skipped == {"wrong column count": 1}


def test_a_header_of_tsv_names_the_columns(tmp_path):
    """DPR's psgs_w100.tsv, whose cells are quoted as in CSV, and queries with a header."""
    rows = [("id", "text", "title"), ("1", '"Aaron ""x"" is"', "Aaron"), ("2", "two", '"T"')]
    collection_layouts.tsv(tmp_path / "psgs_w100.tsv", rows)
    collection_layouts.tsv(tmp_path / "queries.tsv", [("qid", "query"), ("7", "what")])
    collection_layouts.tsv(tmp_path / "qrels.tsv", [("7", 0, "1", 1)])
    data = Collection(str(tmp_path)).load()
    assert data.corpus.ids.to_pylist() == ["1", "2"] and data.queries.ids.to_pylist() == ["7"]
    assert data.corpus.texts.to_pylist() == ['Aaron Aaron "x" is', "T two"]
    with (tmp_path / "psgs_w100.tsv").open("a") as file:
        file.write("3\ta\n")
    with pytest.raises(DataError, match=r"psgs_w100.tsv:4: 2 columns where 3 .*_id<tab>text<tab>title as the header"):
        Collection(str(tmp_path)).load()


@pytest.mark.parametrize("row", ['{"text": "ask"}', '{"query_id": "2"}', '{"query_id": ["2"], "text": "ask"}'])
def test_a_bad_query_in_one_of_several_files_is_refused(tmp_path, row):
    (tmp_path / "docs.jsonl").write_text('{"docid": "d", "text": "a"}\n')
    (tmp_path / "queries.train.jsonl").write_text('{"query_id": "1", "text": "ask"}\n')
    (tmp_path / "queries.dev.jsonl").write_text(f'{{"query_id": "1", "text": "ask"}}\n{row}\n')
    collection_layouts.tsv(tmp_path / "qrels.train.tsv", [("1", 0, "d", 1)])
    with pytest.raises(DataError, match=r"queries\.dev\.jsonl:2: .*(no field|not a string)"):
        Collection(str(tmp_path)).load()
    assert len(Collection(str(tmp_path), on_error="skip").load().queries) == 1


def test_a_folder_behind_a_link_is_read_once(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "set"
    elsewhere.mkdir()
    (folder / "docs").mkdir(parents=True)
    collection_layouts.tsv(folder / "docs" / "1.tsv", [("a", "one")])
    collection_layouts.tsv(elsewhere / "2.tsv", [("b", "two")])
    collection_layouts.tsv(folder / "queries.tsv", [("1", "ask")])
    collection_layouts.tsv(folder / "qrels.tsv", [("1", 0, "b", 1)])
    (folder / "docs" / "more").symlink_to(elsewhere)
    (folder / "docs" / "same").symlink_to(elsewhere)
    (folder / "docs_latest").symlink_to(folder / "docs")
    (elsewhere / "back").symlink_to(folder)
    for recipe in (Collection(str(folder)), Collection(str(folder), documents="docs")):
        assert recipe.load().corpus.ids.to_pylist() == ["a", "b"]
    assert is_collection(folder)


@pytest.mark.parametrize("mark", [".hydra/config.yaml", "multirun.yaml", "stages.lock", ".hardneg-index"])
def test_what_runs_have_written_in_the_folder_is_not_read(tmp_path, mark):
    """They may keep any text there, such as lists that they mined; and the name in the cache goes without them too."""
    collection_layouts.tsv(tmp_path / "docs.tsv", [("a", "one")])
    collection_layouts.tsv(tmp_path / "queries.tsv", [("1", "ask")])
    collection_layouts.tsv(tmp_path / "qrels.tsv", [("1", 0, "a", 1)])
    written = tmp_path / "outputs" / "now"
    (written / mark).parent.mkdir(parents=True)
    (written / mark).touch()
    collection_layouts.tsv(written / "docs.tsv", [("b", "two")])
    recipe = Collection(str(tmp_path))
    assert recipe.load().corpus.ids.to_pylist() == ["a"]
    assert written / "docs.tsv" not in named_files(recipe)
    named = Collection(str(tmp_path), documents="outputs/now/docs.tsv", qrels={"test": "qrels.tsv"}, on_error="skip")
    assert written / "docs.tsv" in named_files(named), "who names it wants it"


def test_a_link_that_leads_elsewhere_is_another_set(tmp_path):
    """The folder is behind a link by which the reader asks for it: the files are the same before and after."""
    for version, grade in (("v1", 1), ("v2", 2)):
        (tmp_path / version).mkdir()
        collection_layouts.tsv(tmp_path / version / "test.tsv", [("1", "a", grade)])
    (tmp_path / "qrels").symlink_to("v1")
    before = list(named_files(Beir(str(tmp_path))))
    (tmp_path / "qrels").unlink()
    (tmp_path / "qrels").symlink_to("v2")
    after = list(named_files(Beir(str(tmp_path))))
    read = tmp_path / "qrels" / "test.tsv"
    assert read in before and read in after


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"docid": "c", "text": ""}', r"docs/1\.jsonl:2: 'text' is empty"),
        ('{"docid": "a", "text": "again"}', r"docs/1\.jsonl:2: id 'a' was used in line 1 of .*docs/0\.jsonl"),
        ('{"docid": "b", "text": "again"}', r"docs/1\.jsonl:2: id 'b' was used in line 1; "),
    ],
)
def test_a_bad_document_is_named_by_the_one_of_several_files_that_it_is_in(tmp_path, row, says):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "0.jsonl").write_text('{"docid": "a", "text": "one"}\n')
    (tmp_path / "docs" / "1.jsonl").write_text(f'{{"docid": "b", "text": "two"}}\n{row}\n')
    collection_layouts.tsv(tmp_path / "queries.tsv", [("1", "ask")])
    collection_layouts.tsv(tmp_path / "qrels.tsv", [("1", 0, "b", 1)])
    with pytest.raises(DataError, match=says):
        Collection(str(tmp_path)).load()
    assert Collection(str(tmp_path), on_error="skip").load().corpus.ids.to_pylist() == ["a", "b"]


def test_triples_that_name_nothing_are_refused(tmp_path):
    folder = collection_layouts.mmarco(tmp_path, WORLD)
    path = folder / "data/triples.train.ids.small.tsv"
    path.write_text("0\t0\t1\n1\t1\t99\n77\t1\t2\n1\t1\t0\n")
    with pytest.raises(DataError, match=r"triples.train.ids.small.tsv:(2: document '99'|3: query '77') is not "):
        Collection(str(folder), language="german").load()
    data = Collection(str(folder), language="german", on_error="skip").load()
    assert data.skipped == {"unknown query": 1, "unknown document": 1}
    assert named(data, "train") == [("0", "0", 1.0), ("1", "1", 1.0)]
    assert [data.given[row].tolist() for row in (0, 1)] == [[1], [0]]
    path.write_text("0\t0\n")
    with pytest.raises(DataError, match=r"not read as triples: .*write QUERY<tab>DOCUMENT<tab>DOCUMENT by id"):
        Collection(str(folder), language="german").load()


def test_a_positive_is_no_given_negative(tmp_path):
    folder = collection_layouts.ms_marco(tmp_path, WORLD)
    other = WORLD[0].negatives[0][0].split()[1]
    with (folder / "qrels.train.tsv").open("a") as file:
        file.write(f"1000\t0\t{other}\t1\n")
    data = Collection(str(folder)).load()
    given = data.given[data.queries.rows["1000"]]
    assert int(other) not in given and len(given) == 2


def test_passages_of_ms_marco_v2_have_ids_of_their_own(tmp_path):
    """Their lines name the document too, of which there are several passages: the set was refused for repeated ids."""
    rows = [{"pid": f"p_{n}", "passage": f"part {n}", "spans": "(0,6)", "docid": "d_0"} for n in range(2)]
    (tmp_path / "msmarco_passage_00").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "passv2_dev_queries.tsv").write_text("7\twhat\n")
    (tmp_path / "passv2_dev_qrels.tsv").write_text("7\t0\tp_1\t1\n")
    data = Collection(str(tmp_path)).load()
    assert data.corpus.ids.to_pylist() == ["p_0", "p_1"] and positives(data) == {"what": {"part 1"}}


def test_a_pid_beside_an_id_is_not_the_documents_name(tmp_path):
    """Such sets were refused for repeated ids where several documents are of one product."""
    rows = [{"id": f"d{n}", "pid": "shop7", "text": f"part {n}"} for n in range(2)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = documents([tmp_path / "corpus.jsonl"], Complaints("raise")).rows
    assert [row["_id"] for _, row in found] == ["d0", "d1"]


def test_trec_documents_as_another_reader_has_them(tmp_path):
    """The reference: the parser of ir_datasets, which takes Anserini's tags."""
    trec = pytest.importorskip("ir_datasets.formats.trec")
    text = (
        "<DOC>\n<DOCNO> FT-1 </DOCNO>\n<DATE>\n930101\n</DATE>\n<HEADLINE>\nFT 01 JAN / Caf\xe9s\n</HEADLINE>\n"
        "<BYLINE>\nnobody\n</BYLINE>\n<TEXT>\nFirst line\nsecond line\n</TEXT>\n</DOC>\n"
        "<DOC>\n<DOCNO>FT-2</DOCNO>\n<TEXT>\nOther\n</TEXT>\n<PUB>no</PUB>\n</DOC>\n"
    )
    path = tmp_path / "ft"
    path.write_text(text)
    parser = trec.TrecDocs(None, parser="text")
    with path.open("rb") as stream:
        expected = [(doc.doc_id, " ".join(doc.text.split())) for doc in parser._parser(stream)]
    ours = [(row["_id"], row["text"]) for _, row in trec_documents(path, Complaints("raise"))]
    assert ours == expected and ours[0] == ("FT-1", "930101 FT 01 JAN / Caf\xe9s First line second line")
    path.write_bytes(text.encode("latin-1"))
    assert [row["text"] for _, row in trec_documents(path, Complaints("raise"))] == [text for _, text in expected]


def test_trec_documents_in_other_shapes(tmp_path):
    path = tmp_path / "docs.gz"
    text = (
        "<DOC><DOCNO>1</DOCNO>all &amp; <b>of</b> it</DOC><doc><docno>2</docno><title>T</title><text>U</text></doc>\n"
    )
    path.write_bytes(gzip.compress((text + "<DOC>\n<TEXT>x</TEXT>\n</DOC>\n<DOC><DOCNO>4</DOCNO>").encode()))
    complaints = Complaints("skip")
    assert [row for _, row in trec_documents(path, complaints)] == [
        {"_id": "1", "text": "all & of it"},
        {"_id": "2", "text": "T U"},
    ]
    assert complaints.skipped == {"missing field": 1, "damaged file": 1}


def test_what_is_no_markup_in_sgml_is_text(tmp_path):
    """All between the < and the > of a comparison was dropped, and all of a topic's field behind its first <."""
    path = tmp_path / "docs"
    path.write_text("<DOC><DOCNO>1</DOCNO><TEXT>if 1 < 2 and 3 > 1, <I>a</I><b<!-- no --> <</TEXT></DOC>\n")
    assert [row["text"] for _, row in trec_documents(path, Complaints("raise"))] == ["if 1 < 2 and 3 > 1, a <b <"]
    path.write_text("<top>\n<num> Number: 7\n<title> x < 5 and y > 3\n<desc> Description:\nz <= 3\n</top>\n")
    rows = [row for _, row in trec_topics(path, ("title", "description"), Complaints("raise"))]
    assert rows == [{"_id": "7", "text": "x < 5 and y > 3 z <= 3"}]


def test_blanks_around_ids_are_no_part_of_them_in_any_file_of_a_collection(tmp_path):
    """They were cut off the ids of TSV and stayed in judgements, which then named documents that were not there."""
    (tmp_path / "collection.tsv").write_text("d1 \tone\nd2\ttwo\n")
    (tmp_path / "queries.jsonl").write_text('{"id": "q1 ", "text": "what"}\n{"id": "q2", "text": "who"}\n')
    (tmp_path / "qrels.train.tsv").write_text("q1\t0\td1 \t1\n q2 \t0\t d2\t1\n")
    (tmp_path / "qidpidtriples.tsv").write_text("q1\td1 \td2\n")
    data = Collection(str(tmp_path)).load()
    assert positives(data) == {"what": {"one"}, "who": {"two"}} and negatives(data)["what"] == {"two"}


def test_trec_topics_as_another_reader_has_them(tmp_path):
    trec = pytest.importorskip("ir_datasets.formats.trec")
    util = pytest.importorskip("ir_datasets.util")
    path = collection_layouts.trec(tmp_path, WORLD) / "topics.301-450.txt"
    expected = {
        query.query_id: " ".join(f"{query.title} {query.description} {query.narrative}".split())
        for query in trec.TrecQueries(util.LocalDownload(path)).queries_iter()
    }
    fields = ("title", "description", "narrative")
    assert {row["_id"]: row["text"] for _, row in trec_topics(path, fields, Complaints("raise"))} == expected
    assert expected["301"].endswith("What is it? It is that.")


def test_xml_topics(tmp_path):
    path = tmp_path / "topics.xml"
    path.write_text(
        '<topics task="COVIDSearch">\n<topic number="1">\n<query>coronavirus origin</query>\n'
        "<question>what is the origin</question>\n</topic>\n<topic number='2'><title>a &amp; b</title></topic></topics>"
    )
    rows = [row for _, row in trec_topics(path, ("title",), Complaints("raise"))]
    assert rows == [{"_id": "1", "text": "coronavirus origin"}, {"_id": "2", "text": "a & b"}]
    with pytest.raises(DataError, match=r"topics.xml:6: a topic without a question \(there are: title\)"):
        list(trec_topics(path, ("question",), Complaints("raise")))


def test_tags_of_html_within_a_topics_field_are_dropped_and_their_text_stays(tmp_path):
    """All of a field behind the first of them was lost."""
    path = tmp_path / "topics.txt"
    path.write_text(
        "<top>\n<num> Number: 7\n<title> Identify <b>stuff</b> here\n<desc> Description:\none<BR>two\n</top>\n"
        "<top><num>8</num><title>Find <i>it</i> now</title><desc><p>three</p> <p>four</p></desc></top>\n"
    )
    rows = [row for _, row in trec_topics(path, ("title", "description"), Complaints("raise"))]
    assert [row["text"] for row in rows] == ["Identify stuff here one two", "Find it now three four"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("x <div>kept</div>", "x kept"),
        ("<h1>T</h1> rest", "T rest"),
        ("a <code>b</code> c", "a b c"),
        ("\n<ul>\n<li>one\n<li><q>two</q>\n</ul>\nthree", "one two three"),
        ("<table><tr><td>a</td> <td>b</td></tr></table>", "a b"),
        ("what is <unknown> here", "what is here"),
    ],
)
@pytest.mark.parametrize("closed", [False, True])
def test_a_topics_field_ends_where_the_next_one_begins_whatever_tags_are_within(field, text, closed, tmp_path):
    """All behind <div> and other tags that were on no list was lost, without a complaint."""
    path = tmp_path / "topics.txt"
    fields = {"num": "Number: 7", "title": field, "desc": field, "E-title": "in English", "narr": "end"}
    lines = [f"<{name}> {inside}{f'</{name}>' if closed else ''}\n" for name, inside in fields.items()]
    for topic in (f"<top>\n{''.join(lines)}</top>\n", f"<top>{''.join(lines)}</top>\n"):
        path.write_text(topic)
        rows = list(trec_topics(path, ("title", "description", "narrative"), Complaints("raise")))
        assert rows == [(1, {"_id": "7", "text": f"{text} {text} end"})]


def test_an_empty_field_of_a_topic_is_complained_of(tmp_path):
    path = tmp_path / "topics.txt"
    path.write_text("<top>\n<num> Number: 7\n<title>\n<desc> Description:\none\n</top>\n")
    with pytest.raises(DataError, match=r"topics.txt:1: topic '7' has an empty title .*data.fields="):
        list(trec_topics(path, ("title",), Complaints("raise")))
    assert [row["text"] for _, row in trec_topics(path, ("description",), Complaints("raise"))] == ["one"]


def test_an_empty_field_of_a_topic_is_left_out_where_another_has_text(tmp_path):
    """One empty description of 200 refused the whole collection."""
    path = tmp_path / "topics.txt"
    path.write_text("<top>\n<num> Number: 7\n<title> cats\n<desc> Description:\n<narr> Narrative: of\n</top>\n")
    fields = ("title", "description", "narrative")
    assert [row["text"] for _, row in trec_topics(path, fields, Complaints("raise"))] == ["cats of"]
    path.write_text("<top>\n<num> Number: 7\n<title>\n<desc> Description:\n<narr> Narrative: of\n</top>\n")
    with pytest.raises(DataError, match=r"topics.txt:1: topic '7' has an empty title and description .*data.fields="):
        list(trec_topics(path, ("title", "description"), Complaints("raise")))


def test_documents_in_a_list_of_json_are_read_and_ids_in_brackets_are_no_list(tmp_path):
    (tmp_path / "docs.json").write_text('[\n\t{"id": "d1", "contents": "one"},\n\t{"id": "d2", "contents": "two"}]\n')
    (tmp_path / "queries.tsv").write_text("[1]\twhat\n")
    (tmp_path / "qrels.test.tsv").write_text("[1]\t0\td1\t1\n")
    data = Collection(str(tmp_path), documents="docs.json").load()
    assert data.corpus.ids.to_pylist() == ["d1", "d2"] and data.corpus[1] == "two"
    assert data.queries.ids.to_pylist() == ["[1]"]
    (tmp_path / "docs.json").write_text('[{"id": "d1", "contents": "one"}, {"contents": "two"}]')
    with pytest.raises(DataError, match=r"docs.json: item 2: no field '_id'"):
        Collection(str(tmp_path), documents="docs.json").load()
    (tmp_path / "docs.json").write_text('[{"id": "d1", "contents": "one"}, 2]')
    with pytest.raises(DataError, match=r"docs.json: item 2: the item is a JSON int"):
        Collection(str(tmp_path), documents="docs.json").load()
    (tmp_path / "docs.json").write_text('[{"id": "d1", "contents": "one"}, {"id": "d1", "contents": "two"}]')
    with pytest.raises(DataError, match=r"docs.json: item 2: id 'd1' was used in item 1; "):
        Collection(str(tmp_path), documents="docs.json").load()


@pytest.mark.parametrize(
    ("text", "says"), [("[]", "item 1: the list is empty"), ('["one"]', "item 1: the item is a JSON")]
)
def test_a_list_in_json_without_objects_is_told_as_one(tmp_path, text, says):
    """It was read as TSV, of which it had too few columns."""
    (tmp_path / "docs.json").write_text(text)
    (tmp_path / "queries.tsv").write_text("q1\twhat\n")
    (tmp_path / "qrels.test.tsv").write_text("q1\t0\td1\t1\n")
    with pytest.raises(DataError, match=rf"docs.json: {says}"):
        Collection(str(tmp_path), documents="docs.json").load()


@pytest.mark.parametrize("name", ["corpus", "queries"])
def test_a_list_in_json_that_no_setting_names_is_not_missed_in_silence(name, tmp_path):
    """Of a folder without other documents or queries it was said that there are none, not which form is not sought."""
    (tmp_path / "corpus.tsv").write_text("d1\tone\n")
    (tmp_path / "queries.tsv").write_text("q1\twhat\n")
    (tmp_path / "qrels.test.tsv").write_text("q1\t0\td1\t1\n")
    (tmp_path / f"{name}.tsv").unlink()
    (tmp_path / f"{name}.json").write_text('[{"id": "d1", "text": "one"}]\n')
    role = "documents" if name == "corpus" else name
    with pytest.raises(DataError, match=rf"no {role} .*a list in a \.json must be named.*data.{role}=FILE"):
        Collection(str(tmp_path)).load()


@pytest.mark.parametrize("line", ["q1\t0 d1\t1", "q1 0\td1\t1"])
def test_trec_columns_between_a_tab_and_blanks_in_a_first_line_are_named(line, tmp_path):
    """They are three columns, whose ids may hold blanks; "add it or remove the row" helped nobody."""
    (tmp_path / "corpus.tsv").write_text("d1\tone\n")
    (tmp_path / "queries.tsv").write_text("q1\twhat\n")
    (tmp_path / "qrels.test.tsv").write_text(f"{line}\n")
    with pytest.raises(DataError, match=r"qrels.test.tsv:1: .*; separate TREC's four columns by tabs alone or blanks"):
        Collection(str(tmp_path)).load()


def test_quotes_within_texts_stay_where_a_header_names_the_columns(tmp_path):
    rows = [("id", "text"), ("1", '"Heroes" by "Bowie"'), ("2", '"Heroes"'), ("3", 'a "b"')]
    collection_layouts.tsv(tmp_path / "collection.tsv", rows)
    found = [row["text"] for _, row in documents([tmp_path / "collection.tsv"], Complaints("raise")).rows]
    assert found == [text for _, text in rows[1:]]
    collection_layouts.tsv(tmp_path / "collection.tsv", [rows[0], *rows[2:], ("4", '"open ""x"""'), ("5", "a", "b")])
    found = [row["text"] for _, row in documents([tmp_path / "collection.tsv"], Complaints("skip")).rows]
    assert found == ["Heroes", 'a "b"', 'open "x"'], "a bad row decides nothing about quotes"
