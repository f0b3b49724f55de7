"""The data set on every machine: Python's own library, docstring to function, harvested where it is installed."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hardneg.data.harvest import RULES, Function, Library, harvest
from hardneg.data.readers.split_names import SPLITS
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.errors import ConfigError
from hardneg.system.atomic_write import atomic_write


@dataclass(frozen=True)
class PyDocs:
    """Find the function that a sentence describes, in the source of this Python's standard library.

    A query is the first sentence of a docstring, a document is the function's source without it. `packages` adds
    installed packages by their import name; they are read, not imported. Files, not functions, are dealt to the splits.
    Raises `ConfigError` if a package is not installed or has no source, or `cache` cannot be written.
    """

    packages: Sequence[str] = ()
    cache: str = "~/.cache/hardneg"

    def __post_init__(self) -> None:
        if isinstance(self.packages, str):
            raise ConfigError(f"data.packages: must be a list of import names, so write [{self.packages}]")
        object.__setattr__(self, "packages", tuple(sorted(set(self.packages))))
        for name in self.packages:
            find_package(name)
        if not self.cache:
            raise ConfigError("data.cache: must name a folder to keep the harvest in")

    def load(self) -> RetrievalData:
        """Return the set, from `cache` if this Python was harvested before."""
        root = Path(sysconfig.get_path("stdlib"))
        python = f"{sys.implementation.name}-{sys.version.split()[0]}"
        return load([Library(root, root, python), *map(find_package, self.packages)], Path(self.cache).expanduser())


def load(libraries: Sequence[Library], cache: Path) -> RetrievalData:
    """Harvest these libraries, or read what an earlier harvest of the same versions left in `cache`.

    Raises `ConfigError` if `cache` cannot be written.
    """
    key = json.dumps([RULES, [(str(library.start), library.version) for library in libraries]])
    path = cache / f"pydocs-{libraries[0].version}-{blake2b(key.encode(), digest_size=6).hexdigest()}.jsonl"
    kept = _read(path)
    if kept is None:
        kept = harvest(libraries)
        _write(path, *kept)
    return assemble(*kept)


def find_package(name: str) -> Library:
    """Locate an installed top-level package without importing it; raises `ConfigError` if there is no source."""
    try:
        # find_spec imports the parents of a dotted name
        spec = find_spec(name) if name.isidentifier() else None
    except ValueError:
        spec = None
    start = _source(spec)
    if start is None:
        raise ConfigError(
            f"data.packages: no Python source is installed for {name!r}; give top-level import names such as 'yaml'"
        )
    return Library(start.parent, start, f"{name}-{_version(name, start)}")


def split_of(file: str) -> str:
    """Deal a file to a split by its name alone, so that another Python version moves as few as possible."""
    draw = int.from_bytes(blake2b(file.encode(), digest_size=8).digest(), "little") % 100
    return "train" if draw < 80 else "dev" if draw < 88 else "test"


def assemble(functions: Sequence[Function], unreadable: int = 0) -> RetrievalData:
    """Merge equal documents and equal queries, and deal the queries to the splits.

    A sentence in files of two splits stays out of all: each would hold the other's answer.
    """
    home: dict[str, Function] = {}  # code -> its first place
    asked: dict[str, list[Function]] = {}
    for function in functions:
        home.setdefault(function.code, function)
        asked.setdefault(function.query, []).append(function)
    corpus = Texts.of([function.id for function in home.values()], list(home))

    ids: list[str] = []
    queries: list[str] = []
    pairs: dict[str, list[tuple[int, int]]] = {name: [] for name in SPLITS}
    torn = 0
    for query, sources in asked.items():
        answers = {home[function.code].id: home[function.code] for function in sources}
        splits = {split_of(function.file) for function in [*sources, *answers.values()]}
        if len(splits) > 1:
            torn += 1
            continue
        pairs[splits.pop()] += [(len(ids), corpus.rows[answer]) for answer in answers]
        ids.append(f"q:{sources[0].id}")
        queries.append(query)
    skipped = {"unreadable file": unreadable, "query in two splits": torn}
    qrels = {name: Qrels.of_relevant(*np.array(rows, np.int32).reshape(-1, 2).T) for name, rows in pairs.items()}
    return RetrievalData("pydocs", corpus, Texts.of(ids, queries), qrels, skipped=skipped)


def _source(spec: ModuleSpec | None) -> Path | None:
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or ():
        if Path(folder).is_dir():
            return Path(folder)
    return Path(spec.origin) if spec.has_location and spec.origin and spec.origin.endswith(".py") else None


def _version(name: str, start: Path) -> str:
    distributions = packages_distributions().get(name)
    if distributions:
        return version(distributions[0])
    files = [start] if start.is_file() else start.rglob("*.py")  # of no distribution: by its newest file
    return f"at{max((file.stat().st_mtime_ns for file in files), default=0)}"


def _read(path: Path) -> tuple[list[Function], int] | None:
    """Read a cached harvest; None if there is none, or it was not written to its end."""
    try:
        head, body = path.read_text("utf-8").split("\n", 1)
        record = json.loads(head)
        if record["digest"] != _digest(body):
            return None
        return [Function(**json.loads(line)) for line in body.splitlines()], int(record["unreadable"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, functions: Sequence[Function], unreadable: int) -> None:
    body = "".join(json.dumps(asdict(function)) + "\n" for function in functions)
    head = json.dumps({"unreadable": unreadable, "digest": _digest(body)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            draft.write_text(f"{head}\n{body}", "utf-8")
    except OSError as error:
        raise ConfigError(
            f"data.cache: cannot write to {path.parent} ({error.strerror}); name another folder"
        ) from error


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
