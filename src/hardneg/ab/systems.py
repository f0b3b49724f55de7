"""What OLD and NEW may be: a run folder, a TREC run file, or a checkpoint that ranks a data set now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import DictConfig

from hardneg.ab.rankings import ranked
from hardneg.ab.relevance import Judgements, from_data, from_files
from hardneg.ab.run_file import run_file
from hardneg.config import classes, composition
from hardneg.config.command_words import key_of, quoted
from hardneg.config.run_summary import read_summary
from hardneg.config.started_with import CONFIG
from hardneg.data.open_set import open_set
from hardneg.data.other_sets import splits_of
from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError, UserError
from hardneg.preflight.config import check_config
from hardneg.retrieval.metrics import Rankings
from hardneg.runs.saved_config import read_config
from hardneg.runs.tested_data import behind, open_again, open_tested, tested_split
from hardneg.runs.trec_runs import read_run

WORDS = ("data", "split", "cache", "precision", "evaluate.depth", "evaluate.leave_out")


@dataclass(frozen=True)
class ComparedSystem:
    """One of the two: its name, its rankings, and the fingerprint of what it was tested on, if known."""

    name: str
    rankings: Rankings
    test_set: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Files:
    """Judgements, and texts of queries and documents, by file."""

    qrels: Path | None
    queries: Path | None
    corpus: Path | None
    relevant_from: float | None  # of the qrels file: the lowest grade that is relevant


def config_of(words: Sequence[str], checkpoint: Path | None) -> DictConfig | None:
    """Make the config of `hardneg evaluate` from words like `data=beir`; None without any.

    Raises `ConfigError` for words that are not read here, and for a config that cannot work.
    """
    if not words:
        return None
    for word in words:
        key = key_of(word).split("@")[0]
        if not key.startswith(WORDS):
            raise ConfigError(f"{word}: not read here; of hardneg evaluate's words these are: {', '.join(WORDS)}")
    named = "ckpt_path=null" if checkpoint is None else f"ckpt_path={quoted(checkpoint.resolve())}"
    with composition.composing("evaluate"):
        cfg = compose("evaluate", [*words, named])
    check_config(cfg)
    return cfg


def load(old: Path, new: Path, words: Sequence[str], files: Files) -> tuple[ComparedSystem, ComparedSystem, Judgements]:
    """Find the rankings of both sides and what they are judged by.

    The judgements are those of the words `data=...`, or of the files, or else of the data set that a run folder names.
    Checkpoints rank the split by exact search; rankings are kept in the cache, and what was embedded before an
    interruption is not embedded again.

    Raises `UserError` for missing files, and for sides that were tested on data other than those of the judgements.
    """
    paths = (old, new)
    checkpoints = [path for path in paths if path.suffix == ".ckpt"]
    cfg = config_of(words, checkpoints[0] if checkpoints else None)
    if checkpoints and cfg is None:
        raise UserError(f"{checkpoints[0]} is a checkpoint: say what it is to rank, as in data=beir data.path=DIR")
    read = {path: _read(path) for path in paths if path not in checkpoints}  # first what is cheap to refuse
    data: RetrievalData | None = None
    if cfg is not None:
        own = behind(paths)
        # Where nobody knows what run files rank, the set is read as a training would read it.
        if own is None:
            data = open_set(classes.build(cfg.data), Path(cfg.cache))
        else:
            data = open_tested(cfg, own, {key_of(word) for word in words})
        judged = from_data(data, one_split(cfg.split))
    elif files.qrels is not None:
        judged = from_files(files.qrels, files.queries, files.corpus, files.relevant_from)
    else:
        judged = _of_folder(paths)
    for side in read.values():
        if None not in (side.test_set, judged.fingerprint) and side.test_set != judged.fingerprint:
            raise UserError(
                f"{side.name} was tested on other documents, queries or judgements than {judged.name} has now; compare"
                " runs on the same data, or give the judgements by --qrels FILE"
            )
    one, other = (read[path] if path in read else _rank(path, cfg, data) for path in paths)
    return one, other, judged


def _read(path: Path) -> ComparedSystem:
    """Read a run file, or the one in a folder that `train` or `evaluate` left."""
    summary = read_summary(path) or {}
    return ComparedSystem(str(path), read_run(run_file(path)), summary.get("test_set"), summary.get("seed"))


def _of_folder(paths: Sequence[Path]) -> Judgements:
    """Load the data set that the first run folder names."""
    for path in paths:
        if (path / CONFIG).is_file():
            cfg = read_config(path)
            return from_data(open_again(path), one_split(tested_split(cfg)))
    raise UserError(
        "run files do not say what is relevant: give --qrels FILE, or the data set as data=beir data.path=DIR"
    )


def one_split(test: Any) -> str:
    """The split that is compared; raises `UserError` for several."""
    splits = splits_of(test)
    if len(splits) != 1:
        raise UserError(
            f"two rankings are compared on one split, not on {', '.join(splits) or 'none'}: give split=NAME"
        )
    return splits[0]


def _rank(path: Path, cfg: DictConfig | None, data: RetrievalData | None) -> ComparedSystem:
    """Rank the split with a checkpoint."""
    # Only here what needs torch: two run files are compared without it.
    from hardneg.mining.baseline import baseline_run
    from hardneg.mining.dense import Dense
    from hardneg.retrieval.retriever import seen

    assert cfg is not None and data is not None
    left_out, split = seen(data, cfg.evaluate.leave_out), one_split(cfg.split)
    miner = Dense(ckpt_path=str(path), precision=cfg.precision)
    run = baseline_run(miner, data, split, cfg.evaluate.depth, Path(cfg.cache), left_out)
    return ComparedSystem(str(path), ranked(run, data), data.fingerprint(split))
