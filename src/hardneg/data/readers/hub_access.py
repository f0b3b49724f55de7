"""Hugging Face sets by name or folder, without the half minute of retries that a missing network costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from hardneg.data.readers.fields import RowSource
from hardneg.data.readers.folders import files_below, is_saved, plain_copy, there_is, with_name
from hardneg.data.readers.lines import BadRow, Complaints
from hardneg.errors import DataError
from hardneg.system.cache import fingerprint
from hardneg.system.counts_in_words import listed

if TYPE_CHECKING:
    from datasets import Dataset, Features

PATIENCE = 3.0  # seconds
BATCH = 1000
MEND = (
    "download it on a machine with a network and save it as a BEIR folder or as JSONL (then use data=beir or "
    "data=jsonl), or set HF_HOME to a folder that holds the cached set"
)


@contextmanager
def without_waiting(*repos: str) -> Iterator[None]:
    """Put the hub libraries in offline mode, where only caches are read, unless one repo needs a hub that answers."""
    import datasets.config
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    offline = any(before) or all(is_local(repo) for repo in repos) or not answers(constants.ENDPOINT)
    try:
        # Both libraries read their flag at each call but offer no other way to set it after their import.
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = offline
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def is_local(repo: str) -> bool:
    """Tell whether a repo is meant as a path, there or not."""
    return repo.startswith(("/", ".", "~")) or Path(repo).is_dir()


def has_config(repo: str, config: str, revision: str | None) -> bool:
    """Tell whether a set has this config; in a folder made by `save_to_disk` that is a folder of that name."""
    if is_local(repo):
        folder = _folder(repo)
        if is_saved(folder) or any(is_saved(child) for child in folder.iterdir()):
            return is_saved(folder / config)
        if plain_copy(folder):
            return _tables(folder, config) is not None
        repo = str(folder)
    import datasets

    with _explained(repo):
        try:  # asking for the list of configs would miss those of a cached set
            datasets.load_dataset_builder(repo, config, revision=revision)
        except ValueError:
            return False
    return True


def out_of_reach(repo: str) -> bool:
    """Whether a set is on the hub, which cannot be asked: only what is in the cache is known of it."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE and not is_local(repo)


def config_names(repo: str, revision: str | None) -> list[str]:
    """Name the configs of a set, as far as they can be known."""
    import datasets

    with suppress(Exception):  # only for messages, which say less without
        if is_local(repo) and (saved := [child.name for child in _folder(repo).iterdir() if is_saved(child)]):
            return sorted(saved)
        if is_local(repo) and plain_copy(folder := _folder(repo)):
            return sorted(child.name for child in folder.iterdir() if any(child.glob("*.parquet")))
        return datasets.get_dataset_config_names(str(_folder(repo)) if is_local(repo) else repo, revision=revision)
    return []


def splits(
    repo: str, config: str | None, features: Features | None = None, revision: str | None = None
) -> Mapping[str, Dataset]:
    """Open all splits of one config; raises `DataError` that says what to do if it cannot be had.

    Layout: a hub name, a folder of data files, or a folder made by `save_to_disk` (with one in it for each config);
    one saved without splits comes back as `train`.
    """
    import datasets

    what = repo if config is None else f"{repo} [{config}]"
    if not is_local(repo):
        with _explained(what):
            return datasets.load_dataset(repo, config, features=features, revision=revision)
    folder = _folder(repo)
    inner = folder / config if config else folder
    if is_saved(inner):
        with _explained(str(inner)):
            saved = datasets.load_from_disk(str(inner))
        return {"train": saved} if isinstance(saved, datasets.Dataset) else saved
    prepared = _prepared(folder)
    if config and plain_copy(folder) and (tables := _tables(folder, config)):
        with _explained(str(tables)):
            return datasets.load_dataset(str(tables), features=features, cache_dir=prepared)
    with _explained(what):
        return datasets.load_dataset(str(folder), config, features=features, cache_dir=prepared)


def _prepared(folder: Path) -> str:
    """Where `datasets` keeps what it makes of a folder's files.

    It names that by the folder's last name and the configs in its README.md alone, and would open what it made before
    the files changed, or of another folder of that name. So we name it by the files too.
    """
    from datasets import config

    facts = [(str(path), path.stat()) for path in files_shown(folder)]
    files = [[name, fact.st_size, fact.st_mtime_ns] for name, fact in facts]
    return str(Path(config.HF_DATASETS_CACHE).absolute() / "hardneg" / fingerprint(files))


def files_shown(folder: Path) -> list[Path]:
    """Return the files of a folder that `datasets` may read.

    These are neither hidden ones (git and `hf download` note things there) nor what it makes itself.
    """
    from datasets import config

    top = folder.absolute()
    found = sorted(files_below(top, by_all_names=True, but_for=Path(config.HF_DATASETS_CACHE)))
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(top).parts)]


def source(name: str, dataset: Dataset, columns: list[str], complaints: Complaints) -> RowSource:
    """Read these columns as rows, numbered from 0 like `dataset[0]`; raises `DataError` if one is missing."""
    for column in columns:
        if column not in dataset.column_names:
            raise DataError(f"{name}: no column {column!r}; there are: {listed(dataset.column_names)}")
    complaints.tables.add(name)
    return RowSource(name, _rows(name, dataset.select_columns(columns), complaints))


def _rows(name: str, dataset: Dataset, complaints: Complaints) -> Iterator[tuple[int, dict[str, Any]]]:
    row = 0
    for table in dataset.with_format("arrow").iter(BATCH):
        for values in table.to_pylist():
            yield row, values
            row += 1
    if not row:
        complaints.about(name, 0, BadRow("empty file", "the split is empty", "fill it or name another"))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    from huggingface_hub import constants

    try:
        yield
    except Exception as error:  # only library calls are within, and their errors depend on their HTTP client
        if out_of_reach(what):
            why = f"not in the cache, and the hub {constants.ENDPOINT} does not answer or HF_HUB_OFFLINE is set"
            raise DataError(f"{what}: {why}; {MEND}") from error
        raise DataError(f"{what}: {error}; check the name, the config and `hf auth login`, or {MEND}") from error


def _folder(repo: str) -> Path:
    folder = Path(repo).expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected a data set saved by save_to_disk; {there_is(folder)}")
    return with_name(folder)  # as `datasets` wants it


def _tables(folder: Path, config: str) -> Path | None:
    """Where a config's files usually are: in a folder of its name, those of `default` in `data` or `qrels`."""
    names = ("default", "data", "qrels") if config == "default" else (config,)
    return next((folder / name for name in names if any((folder / name).glob("*.parquet"))), None)


def answers(endpoint: str) -> bool:
    """Tell within `PATIENCE` seconds whether a server answers."""
    from huggingface_hub.utils import get_session

    answered = Event()

    def ask() -> None:
        with suppress(Exception):  # whatever fails here (name, proxy, TLS, time) would fail in a download too
            get_session().head(endpoint, timeout=PATIENCE)
            answered.set()

    thread = Thread(target=ask, daemon=True)  # a thread, because no timeout bounds the name look-up
    thread.start()
    thread.join(PATIENCE)
    return answered.is_set()
