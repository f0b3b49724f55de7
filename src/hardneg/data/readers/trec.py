"""TREC's own formats: documents and topics in SGML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hardneg.data.readers.lines import BadRow, Complaints, text_lines

# The tags that hold a document's text, as in Anserini's TrecCollection and ir_datasets.
CONTENT = ("TEXT", "HEADLINE", "TITLE", "HL", "HEAD", "TTL", "DD", "DATE", "LP", "LEADPARA")
INSIDE = re.compile(rf"<({'|'.join(CONTENT)})\b[^>]*>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)
NUMBER = re.compile(r"<DOCNO>(.*?)</DOCNO>", re.DOTALL | re.IGNORECASE)
NO_TEXT = re.compile(r"<(DOCNO|DOCID|DOCHDR|DOCOLDNO)\b[^>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
BEGIN = "<(?=[A-Za-z/!?])"  # of markup, as in HTML; any other < is text, as in 1 < 2
TAG = re.compile(rf"{BEGIN}[^<>]*>")
# Topics do not close their tags: a field ends where the next begins. These tags begin one anywhere, and any other but
# HTML's at the start of a line or behind a closed tag, as collections have names of their own.
FIELDS = "num|number|title|desc|description|narr|narrative|query|question|smry|con|fac|def|dom"
HTML = (
    "a|abbr|acronym|address|article|b|big|blockquote|br|caption|center|cite|code|dd|del|dfn|div|dl|dt|em|figcaption|figure|"
    "font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|pre|q|s|samp|section|small|span|strike|strong|sub|sup|table|tbody|td|tfoot|"
    "th|thead|tr|tt|u|ul|var"
)
FIELD = re.compile(
    rf"(?:(?:^|</\w+\s*>)\s*<(?!(?:{HTML})[\s/>])|<(?=(?:{FIELDS})[\s/>]))([A-Za-z]\w*)[^<>]*>",
    re.MULTILINE | re.IGNORECASE,
)
NAMES = {"desc": "description", "narr": "narrative", "num": "number"}
PROMPTS = re.compile(r"^\s*(Number|Topic|Description|Narrative)\s*:\s*", re.IGNORECASE)


def trec_documents(path: Path, complaints: Complaints) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line and {_id, text} of each <DOC>; complains about one without a DOCNO.

    Text is what is in `CONTENT`, or all of a document without any of these; tags in it are dropped, entities are read,
    blanks are joined. Bytes that are not UTF-8 are read as Latin-1, the encoding of older collections.
    """
    for line, _, block in _blocks(path, "DOC", complaints):
        number = NUMBER.search(block)
        if number is None or not number[1].strip():
            complaints.about(path, line, BadRow("missing field", "a <DOC> without a <DOCNO>", "give it one"))
            continue
        parts = [match[2] for match in INSIDE.finditer(block)] or [NO_TEXT.sub(" ", block)]
        yield line, {"_id": number[1].strip(), "text": _plain(" ".join(parts))}


def trec_topics(path: Path, fields: tuple[str, ...], complaints: Complaints) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line and {_id, text} of each topic: its `fields` that are not empty, joined by a blank, without tags.

    Layout: <top> with <num>, <title>, <desc> and <narr>, whose ends may be missing, or XML's <topic number="1">; where
    a topic has no title, its <query>. Complains about topics without a number, without a field, or without any text.
    """
    for line, attributes, block in _blocks(path, "top|topic", complaints):
        found = {NAMES.get(tag.lower(), tag.lower()): text for tag, text in _fields(block)}
        number = re.search(r"number\s*=\s*[\"']?([^\"'>\s]+)", attributes or "")
        name = number[1] if number else PROMPTS.sub("", found.get("number", "")).strip()
        if "title" not in found and "query" in found:
            found["title"] = found["query"]
        missing = [field for field in fields if field not in found]
        if not name or missing:
            lacks = "number" if not name else missing[0]
            what = f"a topic without a {lacks} (there are: {', '.join(found) or 'none'})"
            complaints.about(path, line, BadRow("missing field", what, "add it, or choose others with data.fields="))
            continue
        texts = [_plain(PROMPTS.sub("", found[field])) for field in fields]
        if not any(texts):
            what = f"topic {name!r} has an empty {' and '.join(fields)} (there are: {', '.join(found)})"
            complaints.about(path, line, BadRow("empty text", what, "fill it, or choose others with data.fields="))
            continue
        yield line, {"_id": name, "text": " ".join(filter(None, texts))}


def _fields(block: str) -> Iterator[tuple[str, str]]:
    """Yield name and inside of each field of a topic: up to its end, or to where the next one begins."""
    begins = list(FIELD.finditer(block))
    for field, after in zip(begins, [*begins[1:], None], strict=True):
        inside = block[field.end() : after.start() if after else None]
        yield field[1], re.split(rf"</{field[1]}\s*>", inside, maxsplit=1, flags=re.IGNORECASE)[0]


def _plain(text: str) -> str:
    return " ".join(html.unescape(TAG.sub(" ", text)).split())


def _blocks(path: Path, tags: str, complaints: Complaints) -> Iterator[tuple[int, str | None, str]]:
    """Yield line, attributes and inside of each element with one of the tags."""
    opens = re.compile(rf"<({tags})(\s[^>]*)?>", re.IGNORECASE)
    closes = re.compile(rf"</({tags})\s*>", re.IGNORECASE)
    start, attributes, inside = 0, None, list[str]()
    for line, text in text_lines(path, complaints, otherwise="latin-1"):
        rest: str | None = text
        while rest is not None:
            if not start:
                opened = opens.search(rest)
                if opened is None:
                    break
                start, attributes, inside, rest = line, opened[2], [], rest[opened.end() :]
            closed = closes.search(rest)
            if closed is None:
                inside.append(rest)
                break
            inside.append(rest[: closed.start()])
            yield start, attributes, "\n".join(inside)
            start, rest = 0, rest[closed.end() :]
    if start:
        what = "an element that does not end"
        complaints.about(path, start, BadRow("damaged file", what, "copy or download the file again"))
