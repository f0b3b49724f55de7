"""Finding a set's files, and saying what is there when one is missing."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from hardneg.data.readers.packed import ENDINGS, unpacked_name
from hardneg.errors import ConfigError, DataError

log = logging.getLogger(__name__)

# Endings of files, plain or packed: what data=table alone reads, and all that it reads.
TABLES = (".csv", ".tsv", ".json", ".parquet", ".arrow", ".feather")
KINDS = (*TABLES, ".jsonl", ".ndjson")
SAVED = ("state.json", "dataset_dict.json")  # one of which `save_to_disk` of `datasets` writes
ABOUT = ("dataset_infos.json", "dataset_info.json")  # of old repositories on the hub
KEPT_BY = (".hydra", "multirun.yaml", "stages.lock", ".hardneg-index")  # a run, a sweep, stages, an index
LOGS = ("wandb", ".aim", "mlruns", "mlflow.db")  # where loggers write for all runs
PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\b")  # of a table in several files, as the hub has them
MOST_NAMED = 12  # a longer listing would hide the message that it belongs to


def located(path: str | Path) -> Path:
    """Return the path with `~` filled in; raises `ConfigError` if it is empty."""
    if not str(path).strip():
        raise ConfigError("data.path is empty; write the path of the data set")
    return Path(path).expanduser()


def folder_at(path: str | Path, expected: str) -> Path:
    """Return a set's path that is a folder; raises `DataError`, which says what was expected, for any other."""
    folder = located(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder; {expected}; {there_is(folder)}")
    return folder


def with_name(folder: Path) -> Path:
    """Return the absolute path, which ends in the folder's name also where `.` or `..` is given."""
    path = folder.absolute()
    return path.resolve() if path.name == ".." else path


def is_hub_name(path: str | Path) -> bool:
    """Tell whether a path looks like OWNER/NAME on the Hugging Face hub, and there is no folder OWNER here."""
    words = str(path).split("/")
    if len(words) != 2 or not all(re.fullmatch(r"\w[\w.-]*", word) for word in words):
        return False
    table = unpacked_name(words[1].lower()).endswith(KINDS)
    return not table and not Path(words[0]).exists()


def with_tables(folder: Path) -> Path:
    """Return the folder of the tables: itself, or `data` in it where only that has any, as in a copy of the hub's."""
    inner = folder / "data"
    return inner if not has_tables(folder) and has_tables(inner) else folder


def has_tables(folder: Path) -> bool:
    """Tell whether there are files in a folder that `data=table` reads."""
    if not folder.is_dir():
        return False
    return any(
        unpacked_name(child.name.lower()).endswith(KINDS)
        for child in folder.iterdir()
        if child.is_file() and child.name not in ABOUT
    )


def is_saved(folder: Path) -> bool:
    """Tell whether `save_to_disk` wrote this folder."""
    return any((folder / name).is_file() for name in SAVED)


def plain_copy(folder: Path) -> bool:
    """Tell whether this is a corpus as the hub has it, with queries or alone, without the README.md of configs."""
    corpus, queries = (any((folder / name).glob("*.parquet")) for name in ("corpus", "queries"))
    return corpus and (queries or corpus_alone(folder)) and not (folder / "README.md").is_file()


def corpus_alone(folder: Path) -> bool:
    """Tell whether there are tables in the folder `corpus` of this one, and neither beside it nor in another."""
    within = [child.name for child in folder.iterdir() if has_tables(child) and not _begun_here(child)]
    return within == ["corpus"] and not has_tables(folder)


def refuse_tables(path: str | Path, kind: str) -> None:
    """Raise `ConfigError`, naming the right reader, for a file whose ending `kind` does not read."""
    name = unpacked_name(located(path).name.lower())
    right = "table" if name.endswith(TABLES) else "jsonl" if kind == "beir" and name.endswith(".jsonl") else None
    if right is not None and not located(path).is_dir():
        raise ConfigError(f"data={kind} does not read {path}; use data={right} data.path={path}")


def one_of(folder: Path, name: str, expected: str) -> Path:
    """Return `folder/name`, or `folder/name.gz` or the like; raises `DataError` if there is none, or several."""
    path = maybe(folder, name)
    if path is None:
        raise DataError(f"{folder}: no {name}, plain or packed ({', '.join(ENDINGS)}); {expected}; {there_is(folder)}")
    return path


def maybe(folder: Path, name: str) -> Path | None:
    """Return `folder/name`, or `folder/name.gz` or the like, if there is one; raises `DataError` for several."""
    found = [path for ending in ("", *ENDINGS) if (path := folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        raise DataError(f"{folder}: both {found[0].name} and {found[1].name} are there; keep one of the two")
    return found[0] if found else None


def files_below(folder: Path, by_all_names: bool = False, but_for: Path | None = None) -> Iterator[Path]:
    """Yield the files in a folder and in those below it, also behind links to folders elsewhere, each once.

    What a link leads to inside the folder has a name of its own there; with `by_all_names` it comes by the link's name
    too, by which readers may ask for it. What is above the folder is not asked for, and what runs, sweeps, recipes in
    stages, indexes and loggers have written that were begun in the folder is none of a set's. Nor is a cache, `but_for`
    which a folder is read; one that lies in the cache is read whole.
    """
    cache = None if but_for is None else but_for.absolute()
    top = folder.resolve()
    met = {str(folder): {top, *top.parents}}  # by folder, what is not entered again from there
    for at, folders, names in os.walk(folder, followlinks=True):
        before = met.pop(at)
        for name in sorted(folders):
            path = Path(at, name)
            real = path.resolve()
            another_name = not by_all_names and path.is_symlink() and real.is_relative_to(top)
            if real in before or another_name or path.absolute() == cache or _begun_here(path):
                folders.remove(name)
            elif by_all_names:
                met[os.path.join(at, name)] = before | {real}
            else:
                before.add(real)
                met[os.path.join(at, name)] = before
        yield from (Path(at, name) for name in names if name not in LOGS and os.path.isfile(os.path.join(at, name)))


def _begun_here(folder: Path) -> bool:
    """Tell whether a run, a sweep, a recipe in stages, an index or a logger keeps this folder."""
    # Unlike Path.exists, False where we may not look.
    return folder.name in LOGS or any(os.path.exists(folder / name) for name in KEPT_BY)


def tell_missing_parts(files: Iterable[Path]) -> None:
    """Warn of tables of which these files are not all, by their names, as after a download that broke off."""
    tables: defaultdict[tuple[Path, int], set[int]] = defaultdict(set)
    for path in files:
        if part := PART.match(path.name):
            tables[path.parent / part[1], int(part[3])].add(int(part[2]))
    for (table, parts), there in tables.items():
        start = int(parts in there)  # the hub counts from 0; where there is a part of the last number, from 1
        if missing := sorted(set(range(start, start + parts)) - there):
            first = f"{table.name}-{missing[0]:05d}-of-{parts:05d}{' ...' * (len(missing) > 1)}"
            log.warning(
                "%s: %d of its %d files are there; missing: %s (if that is not meant, download them again)",
                *(table, len(there), parts, first),
            )


def plain_stem(path: Path) -> str:
    """Return the file's name without `.gz` or the like, and without the ending before it."""
    return unpacked_name(path.name).rsplit(".", 1)[0]


def nothing_at(path: Path) -> str:
    """Say that nothing is at a path, which name may have been meant, and what is there."""
    said = "there is no such file or folder"
    folder = _nearest_folder(path)
    wanted = path.absolute().relative_to(folder.absolute()).parts[0]
    try:
        # A link that leads nowhere has the very name.
        near = get_close_matches(wanted, {child.name for child in folder.iterdir()} - {wanted}, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"{said}; {meant}{there_is(path)}"
    except OSError:  # a folder that we may enter and not list
        return said


def _nearest_folder(path: Path) -> Path:
    return next((parent for parent in (path, *path.absolute().parents) if parent.is_dir()), Path("/"))


def there_is(path: Path) -> str:
    """Say what is in a folder, or in the nearest folder above a path that does not exist."""
    folder = _nearest_folder(path)
    names = sorted(child.name + ("/" if child.is_dir() else "") for child in folder.iterdir())
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{folder} holds: {', '.join(names[:MOST_NAMED]) or 'nothing'}{more}"
