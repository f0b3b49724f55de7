"""Data sets, read from their files once and opened by every later process in no time."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import cache as remembered
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hardneg.data import kept_set
from hardneg.data.named_files import named_files, plain
from hardneg.data.tables import RetrievalData
from hardneg.system.cache import built_once, fingerprint
from hardneg.system.log_again import log_again, noted

log = logging.getLogger(__name__)

SAID = "said.json"  # in a kept set: what reading it has logged
WORTH_IT = 8 * 1024**2  # bytes of files above which reading takes noticeable time


@runtime_checkable
class Readable(Protocol):
    """A recipe of a data set."""

    def load(self) -> RetrievalData:
        """Read it."""


@runtime_checkable
class ReadsDocuments(Protocol):
    """A recipe of a data set whose documents can be read alone."""

    def load_documents(self) -> RetrievalData:
        """Read the same documents, without queries and judgements."""


def open_set(recipe: Readable, cache: Path) -> RetrievalData:
    """Return the data set, from the cache where these files were read before; small sets are read each time.

    The cache names a set by its recipe, by name, size and time of each file that the recipe names or that lies in a
    folder that it names, and by the code that reads them: when any of these changes, it is read anew. Of several
    processes that ask together one reads. Raises what reading raises.
    """
    identity = _identity(recipe, cache)
    return recipe.load() if identity is None else _kept(cache, identity, recipe.load)


def open_documents(recipe: Readable, cache: Path) -> RetrievalData:
    """Return the documents of a data set as `open_set` does, alone where the recipe can read them so.

    Queries and judgements need not fit the documents then, or be there; where the whole set was read before, it is
    returned. Raises what reading raises.
    """
    if not isinstance(recipe, ReadsDocuments):
        return open_set(recipe, cache)
    identity = _identity(recipe, cache)
    if identity is None:
        return recipe.load_documents()
    if _folder(cache, identity).exists():
        return _kept(cache, identity, recipe.load)
    return _kept(cache, [*identity, "documents"], recipe.load_documents)


def _identity(recipe: Readable, cache: Path) -> list[Any] | None:
    """What names a set in the cache; None for a small one, which is not kept."""
    files = [(str(path), path.stat()) for path in named_files(recipe, cache)]
    if sum(facts.st_size for _, facts in files) < WORTH_IT:
        return None
    stats = [[path, facts.st_size, facts.st_mtime_ns] for path, facts in files]
    return [type(recipe).__qualname__, plain(recipe), stats, code()]


def _folder(cache: Path, identity: list[Any]) -> Path:
    return cache / "data" / fingerprint(identity)


def _kept(cache: Path, identity: list[Any], load: Callable[[], RetrievalData]) -> RetrievalData:
    """Return what the cache has under this name, or what `load` returns, which is then kept.

    What reading has logged, such as rows that are skipped and files that are missing, is logged each time.
    """
    read_here = False

    def build(unfinished: Path) -> None:
        nonlocal read_here
        read_here = True
        with noted("hardneg.data") as lines:
            kept_set.write(load(), unfinished)
        (unfinished / SAID).write_text(json.dumps(lines), encoding="utf-8")

    folder = built_once(_folder(cache, identity), build)
    if not read_here:
        log_again(log, json.loads((folder / SAID).read_text(encoding="utf-8")))
    return kept_set.read(folder)


@remembered
def code() -> str:
    """Hash the code that reads data, so that a set that was read by another version is read anew."""
    digest = blake2b(digest_size=12)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
