"""Which reader a path is for, by what lies there: `hardneg train data.path=...` need not name it."""

from __future__ import annotations

import re
from pathlib import Path

from hardneg.config.command_words import to_type
from hardneg.data.readers.collection_files import is_collection
from hardneg.data.readers.folders import (
    KINDS,
    corpus_alone,
    has_tables,
    is_hub_name,
    is_saved,
    nothing_at,
    plain_copy,
    there_is,
    with_tables,
)
from hardneg.data.readers.packed import unpacked_name
from hardneg.errors import ConfigError

CHOICES = (
    "data=beir (corpus.jsonl, queries.jsonl, qrels/), data=jsonl, data=table (CSV, Parquet ...), data=collection "
    "(MS MARCO, TREC, MIRACL), data=hub data.repo="
)
REPOS = ("hub", "nanobeir")  # kinds whose place is called data.repo
OF_TABLES = ("data.columns", "data.positive_from")  # settings of data=table that data=jsonl lacks
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
OURS = {"the folder of a run": {".hydra", "status.json"}, "an index": {"builds", "live.json"}}  # what hardneg makes


def kind_at(path: Path) -> str:
    """Name the reader of a file or folder; raises `ConfigError` where that is not certain."""
    names = sorted(unpacked_name(child.name.lower()) for child in path.iterdir()) if path.is_dir() else [path.name]
    if path.is_file():
        name = unpacked_name(path.name.lower())
        if name.endswith(".jsonl"):
            return "jsonl"
        if name.endswith(KINDS):
            return "table"
    elif path.is_dir():
        if kind := _kind_of_folder(path, names):
            return kind
    elif is_hub_name(path):
        return "table"
    else:
        raise ConfigError(f"data.path={path}: {nothing_at(path)}")
    raise ConfigError(_unknown(path))


def _unknown(path: Path) -> str:
    """Say what to do about a file or folder that no reader fits."""
    if path.is_file():
        name = path.name.lower()
        if unpacked_name(name).endswith(ARCHIVES):
            return f"data.path={path} is an archive; unpack it, and give the folder or file that comes of it"
        if name.endswith(SPREADSHEETS):
            return f"data.path={path} is a spreadsheet; save it as CSV (UTF-8), with a header"
        return f"data.path={path} does not say what it is by its name; choose one of {CHOICES}"
    said = f"data.path={path} does not say what it is; {there_is(path)}"
    if inner := sorted(child for child in path.iterdir() if has_tables(child)):
        return f"{said}; is it one of its folders, as in {to_type('data.path', inner[0])}?"
    return f"{said}; choose one of {CHOICES}"


def _kind_of_folder(path: Path, names: list[str]) -> str | None:
    if "corpus.jsonl" in names and "queries.jsonl" in names and "qrels" in names:
        return "beir"
    if is_saved(path):
        return "table"
    if kind := _copy_of_the_hub(path, names):
        return kind
    if is_collection(path):
        return "collection"
    if "corpus.jsonl" in names and set(names) <= {"corpus.jsonl", "queries.jsonl", "readme.md"}:
        return "beir"  # without judgements: an index needs documents alone, and training is told what is missing
    rows = "queries.jsonl" not in names and "qrels" not in names
    if rows and "train.jsonl" in names:
        return "jsonl"
    if made := next((what for what, inside in OURS.items() if inside <= set(names)), None):  # of JSON and CSV files too
        raise ConfigError(f"data.path={path} is {made}, not a data set (data=... to read it as one all the same)")
    return "table" if rows and has_tables(with_tables(path)) else None


def _copy_of_the_hub(path: Path, names: list[str]) -> str | None:
    """Tell a copy of a hub repository with a corpus by the configs in its README, or by folders of `save_to_disk`."""
    if sum((child / "README.md").is_file() for child in path.glob("[Nn]ano*")) > 1:
        return "nanobeir"
    readme = path / "README.md"
    configs = readme.read_text("utf-8", "replace") if readme.is_file() else ""
    if re.search(r"^\s*-?\s*config_name:\s*\S*corpus\s*$", configs, re.MULTILINE):
        return "nanobeir" if re.search(r"split:\s*Nano\w+", configs) else "hub"
    saved = {name for name in names if is_saved(path / name)}
    in_configs = "corpus" in saved and ("queries" in saved or corpus_alone(path))
    return "hub" if in_configs or plain_copy(path) else None


def said_of(words: list[str], kind: str) -> str:
    """What a command says of the kind that `with_kind` has found for these words."""
    given = [word.partition("=")[2] for word in words if word.startswith(("data.path=", "data.repo="))]
    path = given[-1].strip("'\"") if given else "the data"
    return f"reading {path} as data={kind} (data=... to read it otherwise)"


def with_kind(words: list[str]) -> tuple[list[str], str | None]:
    """Add `data=KIND` to the words of a command line that give `data.path` alone; return them and what was added.

    A copy of a hub repository is named by `data.repo`, which then replaces `data.path`. A sweep's paths must
    be of one kind; JSONL is read as a table where its columns are named, or among other tables.
    Raises `ConfigError` for paths of several kinds. Anything but a plain path is left as it is.
    """
    keys = [word.lstrip("+").partition("=")[0] for word in words]
    own = [key for key in keys if not key.startswith("data@evaluate.also.")]  # those are other sets, to test on
    given = any(key == "data" or key.startswith(("data@", "data/")) for key in own)
    values = [word.partition("=")[2] for word, key in zip(words, keys, strict=True) if key == "data.path"]
    if given or len(values) != 1 or not values[0]:
        return words, None
    value = values[0]
    if value[0] in "'\"" and value[-1] == value[0] and len(value) > 1:
        paths = [value[1:-1]]
    elif any(sign in value for sign in "[]{}$()*"):
        return words, None
    else:
        paths = value.split(",")
    kinds = {kind_at(Path(path.strip()).expanduser()) for path in paths}
    of_tables = any(key.startswith(OF_TABLES) for key in keys)
    if kinds <= {"jsonl", "table"} and (of_tables or len(kinds) > 1):
        kinds = {"table"}
    if len(kinds) > 1:
        raise ConfigError(f"data.path={value}: sets of several kinds ({', '.join(sorted(kinds))}); give each a sweep")
    (kind,) = kinds
    if kind in REPOS:
        words = ["data.repo" + word[len("data.path") :] if word.startswith("data.path=") else word for word in words]
    # After options such as --config-dir DIR, which must come first.
    place = next(number for number, word in enumerate(words) if "=" in word and not word.startswith("-"))
    return [*words[:place], f"data={kind}", *words[place:]], kind
