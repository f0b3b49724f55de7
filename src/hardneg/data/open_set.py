"""Data sets as memory-mapped tables: read from their files once, and opened by every later process in no time."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache as remembered
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from hardneg.data.pair_scores import PairScores
from hardneg.data.parts import Part
from hardneg.data.ragged import Ragged
from hardneg.data.readers.folders import files_below
from hardneg.data.readers.hub_judged import judgements_beside
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.system import own_code
from hardneg.system.cache import built_once, fingerprint
from hardneg.system.log_again import log_again, noted
from hardneg.system.memory_map import Mapped

log = logging.getLogger(__name__)

SAID = "said.json"  # in a kept set: what reading it has logged
WORTH_IT = 8 * 1024**2  # bytes of files above which reading takes noticeable time
# Settings of recipes that are no files to read, though there may be a file or folder of that name, such as `train`. A
# cache is different after every run.
NO_INPUTS = frozenset(
    {
        "kind",
        own_code.KEY,
        "name",
        "cache",
        "config",
        "split",
        "subset",
        "revision",
        "language",
        "fields",
        "columns",
        "prompts",
    }
)


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
    return [type(recipe).__qualname__, _plain(recipe), stats, code()]


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
            write(load(), unfinished)
        (unfinished / SAID).write_text(json.dumps(lines), encoding="utf-8")

    folder = built_once(_folder(cache, identity), build)
    if not read_here:
        log_again(log, json.loads((folder / SAID).read_text(encoding="utf-8")))
    return read(folder)


def named_files(recipe: Any, cache: Path | None = None) -> Iterator[Path]:
    """Yield every file that a recipe names, as a path or in a folder, once; of a mixture those of all its sets.

    Names may go from the recipe's `path` on. Links to folders are followed, as readers follow them, and what runs that
    were begun in a folder have written there is left out (see `files_below`), and so is a cache that lies in one.
    """
    found: dict[Path, None] = {}
    for path in _paths(_plain(recipe)):
        if _asked(path.is_file):
            found[path.absolute()] = None
        elif _asked(path.is_dir):
            found |= dict.fromkeys(sorted(files_below(path.absolute(), by_all_names=True, but_for=cache)))
    yield from found


def _asked(is_there: Callable[[], bool]) -> bool:
    try:
        return is_there()
    except (OSError, ValueError):  # such as a prompt, which is longer than any name of a file
        return False


def _plain(recipe: Any) -> Any:
    """Write a recipe, and those within it, as plain values."""
    if is_dataclass(recipe) and not isinstance(recipe, type):
        named = {field.name: _plain(getattr(recipe, field.name)) for field in fields(recipe)}
        return own_code.with_code_of(recipe, {"kind": type(recipe).__qualname__, **named})
    if isinstance(recipe, Mapping):
        return {str(key): _plain(value) for key, value in recipe.items()}
    if isinstance(recipe, list | tuple):
        return [_plain(value) for value in recipe]
    return recipe if isinstance(recipe, str | int | float | bool | None) else str(recipe)


def _paths(node: Any, beside: str = "") -> Iterator[Path]:
    """Yield what may be a path: each text in a plain recipe, as it is and from the recipe's own path on.

    Of a set named by its repository also where its judgements may lie.
    """
    if isinstance(node, str) and node:
        yield Path(node).expanduser()
        if beside:
            yield Path(beside).expanduser() / Path(node).expanduser()
    elif isinstance(node, list):
        for value in node:
            yield from _paths(value, beside)
    elif isinstance(node, Mapping):
        of_recipe = isinstance(node.get("kind"), str)  # else names are those of sets, splits or columns
        own = node.get("path") if of_recipe else None
        if of_recipe and isinstance(node.get("repo"), str):
            yield Path(judgements_beside(node["repo"]))
        for key, value in node.items():
            if not of_recipe or key not in NO_INPUTS:
                yield from _paths(value, own or beside)


@remembered
def code() -> str:
    """Hash the code that reads data, so that a set that was read by another version is read anew."""
    digest = blake2b(digest_size=12)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write(data: RetrievalData, folder: Path) -> None:
    """Write tables as Arrow, numbers as arrays, and `card.json`, which lists them."""
    for side in ("corpus", "queries"):
        texts: Texts = getattr(data, side)
        batch = pa.record_batch([texts.ids, texts.texts], names=["id", "text"])
        with pa.OSFile(str(folder / f"{side}.arrow"), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        np.save(folder / f"{side}-groups.npy", texts.groups)
    arrays: dict[str, Any] = {"own": data.own, "truth": data.truth, "given": data.given, "scored": data.scored}
    arrays |= {f"split-{number}": qrels for number, qrels in enumerate(data.qrels.values())}
    written = {name: list(_save(folder, name, value)) for name, value in arrays.items() if value is not None}
    card = {
        "name": data.name,
        "splits": list(data.qrels),
        "arrays": written,
        "fingerprints": {"corpus": data.corpus.fingerprint, "queries": data.queries.fingerprint},
        "skipped": dict(data.skipped),
        "query_prompt": data.query_prompt,
        "temper": data.temper,
        "blended": data.blended,
        "mixed": [_ends(part) for part in data.mixed],
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2))


def _save(folder: Path, name: str, value: Any) -> Iterator[str]:
    """Save an array, or those of a table's fields; yields the fields' names."""
    if isinstance(value, np.ndarray):
        np.save(folder / f"{name}.npy", value)
        return
    for field in fields(value):
        if (array := getattr(value, field.name)) is not None:
            np.save(folder / f"{name}-{field.name}.npy", array)
            yield field.name


def _ends(part: Part) -> dict[str, Any]:
    ends = {side: [getattr(part, side).start, getattr(part, side).stop] for side in ("queries", "docs")}
    return {**asdict(part), **ends}


@dataclass(frozen=True)
class _Folder:
    """What `write` has written."""

    path: Path
    card: Mapping[str, Any]

    def array(self, name: str) -> np.ndarray:
        return Mapped(self.path / f"{name}.npy").array

    def table(self, name: str, kind: type) -> Any:
        """Open a table of arrays; None if it does not exist."""
        if name not in self.card["arrays"]:
            return None
        return kind(**{field: self.array(f"{name}-{field}") for field in self.card["arrays"][name]})

    def texts(self, side: str) -> Texts:
        with pa.memory_map(str(self.path / f"{side}.arrow")) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        texts = Texts(batch.column("id"), batch.column("text"))
        # These take a pass over all texts to compute, and the files have them.
        vars(texts).update(fingerprint=self.card["fingerprints"][side], groups=self.array(f"{side}-groups"))
        return texts


def read(folder: Path) -> RetrievalData:
    """Open what `write` has written; texts and arrays stay on disk until they are looked at."""
    card = json.loads((folder / "card.json").read_text())
    files = _Folder(folder, card)
    own = files.array("own") if "own" in card["arrays"] else None
    mixed = tuple(
        Part(**{**part, "queries": range(*part["queries"]), "docs": range(*part["docs"])}) for part in card["mixed"]
    )
    return RetrievalData(
        card["name"],
        files.texts("corpus"),
        files.texts("queries"),
        {split: files.table(f"split-{number}", Qrels) for number, split in enumerate(card["splits"])},
        truth=files.table("truth", Qrels),
        given=files.table("given", Ragged),
        skipped=card["skipped"],
        mixed=mixed,
        temper=card["temper"],
        own=own,
        scored=files.table("scored", PairScores),
        query_prompt=card["query_prompt"],
        blended=card["blended"],
    )
