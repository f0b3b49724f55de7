"""Which file of a collection is what, and of which split, by its name: MS MARCO, mMARCO, MIRACL, TREC."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from hardneg.data.readers.folders import files_below, plain_stem
from hardneg.data.readers.packed import unpacked_name
from hardneg.data.readers.split_names import split_of_judgements
from hardneg.errors import DataError

ROLES = ("documents", "queries", "qrels", "triples")
WORDS: dict[str, set[str]] = {
    "queries": {"queries", "query", "topics", "topic"},
    "documents": {
        *("collection", "collections", "corpus", "doc", "docs", "document", "documents", "passage", "passages", "psgs"),
    },
}
NOT_READ = {"run", "runs", "top100", "top1000", "readme", "license", "scripts"}  # rankings, and texts about the data
ENDINGS = (
    *(".md", ".py", ".json", ".yaml", ".yml", ".pdf", ".zip", ".tar", ".tgz", ".z", ".html", ".sh"),
    *(".parquet", ".arrow", ".lock", ".pkl", ".npy", ".npz", ".safetensors", ".onnx", ".bin", ".pt", ".ckpt"),
)
LANGUAGES = (r"([a-z]+)_(?:collection|queries)\b", r"miracl-(?:corpus-)?v[\d.]+-([a-z]{2})\b")
MOST_FILES = 100_000  # files of a folder that are looked at to guess its kind


def words_of(name: str) -> list[str]:
    """Cut a file's name into small words."""
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def role_of(path: PurePath) -> str | None:
    """Say what a file holds, by its name, else by the nearest folder that says it; None for what is not read."""
    name = unpacked_name(path.name.lower())
    if (
        any(part.startswith(".") for part in path.parts)
        or name.endswith(ENDINGS)
        or NOT_READ & {w for part in path.parts for w in words_of(part)}
    ):
        return None
    for part in (name, *reversed(path.parts[:-1])):
        words = set(words_of(part))
        if "qrels" in part.lower():
            return "qrels"
        if "triples" in part.lower():
            return "triples" if "ids" in words or "qidpidtriples" in words else None
        for role, known in WORDS.items():
            if words & known:
                return role
    return None


def files_of(folder: Path, language: str | None) -> dict[str, list[Path]]:
    """Return the files of each role, ordered by name, with numbers by their size.

    Where a role has files with `language` in their path, only these are taken. Raises `DataError` where there are
    several languages and none is chosen.
    """
    found: dict[str, list[Path]] = {role: [] for role in ROLES}
    for path in sorted(files_below(folder), key=_order):
        if role := role_of(path.relative_to(folder)):
            found[role].append(path)
    if language is None:
        if len(languages := _languages(found["documents"], folder)) > 1:
            raise DataError(f"{folder}: documents in {', '.join(languages)}; choose with data.language=")
        return found
    wanted = language.lower()
    of_it = {
        role: [path for path in paths if wanted in _parts(path.relative_to(folder))] for role, paths in found.items()
    }
    if not of_it["documents"] and not of_it["queries"]:
        known = _languages([*found["documents"], *found["queries"]], folder)
        raise DataError(f"{folder}: nothing in data.language={language}; there is: {', '.join(known) or 'no language'}")
    return {role: of_it[role] or paths for role, paths in found.items()}


def is_collection(folder: Path) -> bool:
    """Tell whether a folder holds queries and judgements, or triples, in files of their own."""
    roles = set()
    for count, path in enumerate(files_below(folder)):
        roles.add(role_of(path.relative_to(folder)))
        if "queries" in roles and roles & {"qrels", "triples"}:
            return True
        if count > MOST_FILES:
            break
    return False


def qrels_by_split(paths: list[Path]) -> dict[str, Path]:
    """Name the split of each file of judgements by the words in its name; a single file without any is `test`.

    Raises `DataError` where two files have one split.
    """
    named: dict[str, Path] = {}
    for path in paths:
        said = split_of_judgements(words_of(unpacked_name(path.name)))
        split = said or ("test" if len(paths) == 1 else plain_stem(path))
        if split in named:
            both = f"{named[split].name} and {path.name} are both {split}"
            raise DataError(f"{path.parent}: {both}; choose with 'data.qrels={{{split}: FILE}}'")
        named[split] = path
    return named


def _parts(path: PurePath) -> list[str]:
    return [word for part in path.parts for word in words_of(part)]


def _languages(paths: list[Path], folder: Path) -> list[str]:
    texts = [path.relative_to(folder).as_posix().lower() for path in paths]
    return sorted({name for text in texts for pattern in LANGUAGES for name in re.findall(pattern, text)})


def _order(path: Path) -> list[tuple[int, str]]:
    return [(int(part or 0), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]
