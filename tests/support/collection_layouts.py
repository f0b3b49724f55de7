"""The small world in the layouts of test collections, under the names and in the folders of the published ones."""

from __future__ import annotations

import gzip
import html
import json
from pathlib import Path

import layouts


def _doc(document: tuple[str, str]) -> str:
    return document[0].split()[1]


def tsv(path: Path, rows: list[tuple]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def ms_marco(folder: Path, world: list[layouts.Line]) -> Path:
    """MS MARCO passage: collectionandqueries.tar.gz unpacked, and the triples by id beside it."""
    tsv(folder / "collection.tsv", [(_doc(line.positive), layouts.joined(line.positive)) for line in world])
    tsv(folder / "queries.train.tsv", [(1000 + i, line.query) for i, line in enumerate(world)])
    tsv(folder / "queries.eval.small.tsv", [(9000, "nobody judged this")])
    tsv(folder / "qrels.train.tsv", [(1000 + i, 0, _doc(line.positive), 1) for i, line in enumerate(world)])
    triples = [(1000 + i, _doc(line.positive), _doc(n)) for i, line in enumerate(world) for n in line.negatives]
    tsv(folder / "qidpidtriples.train.full.2.tsv.gz", triples)
    tsv(folder / "top1000.dev", [(1, 2, "a ranking", "that is not read")])
    return folder


def ms_marco_documents(folder: Path, world: list[layouts.Line]) -> Path:
    """MS MARCO document: id, url, title and body."""
    rows = [(f"D{_doc(d)}", f"https://example.org/{_doc(d)}", *d) for d in (line.positive for line in world)]
    tsv(folder / "msmarco-docs.tsv.gz", rows)
    tsv(folder / "msmarco-doctrain-queries.tsv.gz", [(i, line.query) for i, line in enumerate(world)])
    rows = [(i, 0, f"D{_doc(line.positive)}", 1) for i, line in enumerate(world)]
    path = folder / "msmarco-doctrain-qrels.tsv.gz"  # its columns are parted by blanks
    path.write_bytes(gzip.compress("".join(" ".join(map(str, row)) + "\n" for row in rows).encode()))
    tsv(folder / "msmarco-doctrain-top100.gz", [("1", "Q0", "D2", "1", "-5.1", "IndriQueryLikelihood")])
    return folder


def mmarco(folder: Path, world: list[layouts.Line]) -> Path:
    """mMARCO: languages side by side, training triples by id, and no judgements for training."""
    data, other = folder / "data", layouts.world(45)
    for language, lines in (("english", other), ("german", world)):
        google = data / "google"
        rows = [(_doc(line.positive), layouts.joined(line.positive)) for line in lines]
        tsv(google / f"collections/{language}_collection.tsv", rows)
        rows = [(i, line.query) for i, line in enumerate(lines)]
        tsv(google / f"queries/train/{language}_queries.train.tsv", rows)
    triples = [(i, _doc(line.positive), _doc(n)) for i, line in enumerate(world) for n in line.negatives]
    tsv(data / "triples.train.ids.small.tsv", triples)
    tsv(data / "google/runs/run.bm25_german-msmarco.txt", [("1", "7", "1")])
    (folder / "README.md").write_text("# mMARCO\n")
    return folder


def miracl(folder: Path, world: list[layouts.Line]) -> Path:
    """MIRACL: topics, TREC qrels that judge documents not relevant too, and the corpus in gzipped JSONL."""
    documents = [{"docid": f"{_doc(d)}#0", "title": d[0], "text": d[1]} for d in (line.positive for line in world)]
    corpus = folder / "miracl-corpus-v1.0-de"
    corpus.mkdir(parents=True)
    for shard, rows in enumerate((documents[:30], documents[30:])):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (corpus / f"docs-{shard}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    version = folder / "miracl-v1.0-de"
    tsv(version / "topics/topics.miracl-v1.0-de-train.tsv", [(f"{i}#0", line.query) for i, line in enumerate(world)])
    rows = [
        (f"{i}#0", "Q0", f"{_doc(document)}#0", int(document is line.positive))
        for i, line in enumerate(world)
        for document in (line.positive, *line.negatives)
    ]
    tsv(version / "qrels/qrels.miracl-v1.0-de-train.tsv", rows)
    return folder


def trec(folder: Path, world: list[layouts.Line]) -> Path:
    """TREC: documents in SGML, topics whose tags stay open, qrels."""
    (folder / "docs/la").mkdir(parents=True)
    for shard, lines in enumerate((world[:20], world[20:])):
        (folder / f"docs/la/LA{shard:06}").write_text("".join(map(_sgml, lines)))
    topics = "".join(
        f"<top>\n\n<num> Number: {301 + i} \n<title> {line.query}\n\n<desc> Description: \nWhat is it?\n\n"
        f"<narr> Narrative: \nIt is\nthat.\n\n</top>\n\n"
        for i, line in enumerate(world)
    )
    (folder / "topics.301-450.txt").write_text(topics)
    rows = [f"{301 + i} 0 LA-{_doc(line.positive)} 1\n" for i, line in enumerate(world)]
    (folder / "qrels.train.txt").write_text("".join(rows))
    return folder


def _sgml(line: layouts.Line) -> str:
    title, text = (html.escape(part) for part in line.positive)
    return (
        f"<DOC>\n<DOCNO> LA-{_doc(line.positive)} </DOCNO>\n<DOCID> 7 </DOCID>\n<HEADLINE>\n<P>\n{title}\n</P>\n"
        f"</HEADLINE>\n<GRAPHIC>\nnot this\n</GRAPHIC>\n<TEXT>\n<P>\n{text}\n</P>\n</TEXT>\n</DOC>\n"
    )


# name -> how it is written, further settings, whether negatives come with the queries
COLLECTIONS = {
    "MS MARCO passage": (ms_marco, {}, True),
    "MS MARCO document": (ms_marco_documents, {}, False),
    "mMARCO": (mmarco, {"language": "german"}, True),
    "MIRACL": (miracl, {}, True),
    "TREC": (trec, {}, False),
}
