"""Read documented functions out of Python source trees with `ast`; nothing is ever imported."""

from __future__ import annotations

import ast
import inspect
import os
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RULES = 1  # increase it whenever a change below changes the harvest: it is part of the cache's name

_SKIP_DIRS = {"test", "tests", "idle_test", "turtledemo", "site-packages", "dist-packages", "__pycache__"}
# as in CodeSearchNet: a shorter body says less than its docstring, and special methods all have the same one
_MIN_LINES = 3
_MAX_CHARS = 20_000
_MIN_WORDS = 3

_SENTENCE_END = re.compile(r"[.!?]\)?(?=\s|$)")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.?g|i\.?e|etc|vs|cf|resp|approx|incl)|\.\.)\.$", re.IGNORECASE)
_SIGNATURE = re.compile(r"[\w.]+\s*\([^)]*\)*\s*((->|=>|=|--|:)\s*[\w.,\[\]() |]*)?\.?")
_WORD = re.compile(r"[^\W\d_]{2,}")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Library:
    """A source tree to harvest: files under `start` (a folder or one module), named by their path below `base`."""

    base: Path
    start: Path
    version: str

    def files(self) -> list[tuple[str, Path]]:
        """List the source files and their names in a fixed order, test folders left out."""
        if self.start.is_file():
            return [(self.start.relative_to(self.base).as_posix(), self.start)]
        found = []
        for folder, below, names in os.walk(self.start):
            below[:] = [name for name in below if name not in _SKIP_DIRS]
            found += [Path(folder, name) for name in names if name.endswith(".py") and not name.startswith("test_")]
        return sorted((path.relative_to(self.base).as_posix(), path) for path in found)


@dataclass(frozen=True)
class Function:
    """A documented function: the first sentence of its docstring, and its source without any docstring."""

    file: str
    name: str
    line: int
    query: str
    code: str

    @property
    def id(self) -> str:
        """Its place in the source, which no other function of a harvest has."""
        return f"{self.file}:{self.name}:{self.line}"


def harvest(libraries: Sequence[Library]) -> tuple[list[Function], int]:
    """Return every documented function in path and line order, and how many files could not be read or parsed."""
    functions: list[Function] = []
    skipped = 0
    for library in libraries:
        for name, path in library.files():
            try:
                functions += read_file(name, path)
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                skipped += 1
    return functions, skipped


def read_file(name: str, path: Path) -> list[Function]:
    """Return the documented functions of one file; raises what `tokenize` and `ast` raise on a broken one."""
    with tokenize.open(path) as file:
        source = file.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in other people's strings
        tree = ast.parse(source)
    lines = source.split("\n")  # not splitlines(): ast does not end a line at a form feed
    functions = []
    for qualified, node in _functions(tree, ""):
        query = first_sentence(ast.get_docstring(node) or "")
        if query is None or _is_special(node.name):
            continue
        code = _without_docstrings(node, lines)
        if len(code) <= _MAX_CHARS and _body_lines(node, code) >= _MIN_LINES:
            functions.append(Function(name, qualified, node.lineno, query, code))
    return functions


def first_sentence(docstring: str) -> str | None:
    """Return the first sentence on one line, or None if it says too little."""
    paragraph = re.split(r"\n\s*\n|\n\s*(?:>>>|[-*:@])", inspect.cleandoc(docstring), maxsplit=1)[0]
    text = " ".join(paragraph.split())
    for end in _SENTENCE_END.finditer(text):
        if not _ABBREVIATION.search(text[: end.start() + 1]):
            text = text[: end.end()]
            break
    if len(text.split()) < _MIN_WORDS or not _WORD.search(text) or _SIGNATURE.fullmatch(text):
        return None
    return text if text.isprintable() else None  # a lone surrogate cannot be stored


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Walk functions and methods, but not functions inside functions: their source is in the outer one's already."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _functions(child, prefix)


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef, code: str) -> int:
    """Count the lines below the signature that hold code."""
    head = node.body[0].lineno - min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in code.split("\n")[head:])


def _without_docstrings(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> str:
    """Cut the docstrings out, inner functions' too: they would give another function's query away."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    kept: dict[int, str] = {number: lines[number - 1] for number in range(first, (node.end_lineno or first) + 1)}
    for inner in ast.walk(node):
        if isinstance(inner, Definition) and ast.get_docstring(inner, clean=False) is not None:
            _cut(inner.body[0], kept)
    # not textwrap.dedent: a string with text in the first column would stop it
    indent = node.col_offset
    dedented = [line[indent:] if line[:indent].isspace() else line for _, line in sorted(kept.items())]
    return "\n".join(line.rstrip() for line in dedented).strip("\n")


def _cut(statement: ast.stmt, kept: dict[int, str]) -> None:
    start, end = statement.lineno, statement.end_lineno or statement.lineno
    # ast counts columns in UTF-8 bytes
    before = kept[start].encode()[: statement.col_offset].decode()
    after = kept[end].encode()[statement.end_col_offset :].decode().lstrip("; \t")
    for number in range(start, end + 1):
        del kept[number]
    if before.strip() or (after and not after.startswith("#")):
        kept[start] = before + after
