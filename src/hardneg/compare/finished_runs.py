"""Finding finished runs: folders on disk, or what W&B's offline logs still know of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hardneg.compare.one_run import FinishedRun
from hardneg.config import started_with
from hardneg.config.run_identity import KEPT_AND_SHOWN, flat, in_numbers, written_status
from hardneg.config.run_identity import chosen as names
from hardneg.config.run_summary import SUMMARY, is_complete, read_summary
from hardneg.errors import DataError, UserError
from hardneg.runlog import wandb_read
from hardneg.runlog.files import WANDB_ID

# What may differ between runs of one arm: the seed, and settings of storage and display.
_NO_ARM = (
    *("seed.", "ckpt_path.", "stages.", "split.test.", "evaluate.also.", *KEPT_AND_SHOWN),
    *("provenance.", "run_folder.", "data_id.", "encoder_id.", "negatives_id.", "loss_id.", "filter_id.", "inputs."),
)


@dataclass(frozen=True)
class Found:
    """What the folders hold: complete runs, and those that are left out with the reason."""

    runs: list[FinishedRun] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)


def find(folders: Iterable[Path]) -> Found:
    """Read every run in or below these folders; raises `UserError` where there is no complete one."""
    found = Found()
    seen: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise UserError(f"{folder}: no such folder")
        before = len(found.runs) + len(found.left_out)
        paths = sorted(_run_folders(folder))
        for path in paths:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                _add(path, found)
        _add_logs(folder, found, seen)
        if len(found.runs) + len(found.left_out) == before and not paths:
            raise UserError(
                f"{folder}: no complete run in or below it (a folder with {SUMMARY}, or wandb/ with offline runs)"
            )
    if not found.runs:
        unfinished = f"; unfinished: {', '.join(map(str, found.left_out))}" if found.left_out else ""
        raise UserError(f"none of these folders holds a complete run with test results{unfinished}")
    return found


def _run_folders(folder: Path) -> set[Path]:
    complete = {path.parent for path in folder.rglob(SUMMARY)}
    return complete | {path.parent.parent for path in folder.rglob(started_with.CONFIG)}


def _add(path: Path, into: Found) -> None:
    try:
        summary = read_summary(path)
    except DataError as error:
        into.left_out[path] = str(error).removeprefix(f"{path}: ")
        return
    if summary is None:
        if _is_training(path):
            into.left_out[path] = _why_unfinished(written_status(path) or {})
        return
    if "strategy" not in summary:
        return  # an evaluation, or a probe
    if not summary.get("test", {}).get("after"):
        into.left_out[path] = "has no test results (split.test=null)"
        return
    written = started_with.config_of(path)
    node: Any = {} if written is None else OmegaConf.to_container(written)
    # Hydra writes `auto` anew when a sweep is asked for again.
    into.runs.append(FinishedRun(path, summary, flat_config(in_numbers(node, path))))


def _why_unfinished(status: Mapping[str, Any]) -> str:
    match status.get("state"):
        case "failed":
            return f"failed (hardneg resume tries it again): {status.get('error')}"
        case "pruned":
            return "pruned: its search or race ended it early"
    return f"not finished (no {SUMMARY}); hardneg resume continues it"


def _is_training(path: Path) -> bool:
    """Whether the folder was made by train or train-teacher: a mining run, a probe, debug=NAME have no summary."""
    if not str(started_with.of_hydra(path, "hydra.job.name")).startswith("train"):
        return False
    return not (started_with.config_of(path) or {}).get("debug")


def _add_logs(folder: Path, into: Found, seen: set[Path]) -> None:
    """Add the runs that only W&B's logs below this folder still know."""
    ids = {file.read_text(encoding="utf-8").strip() for path in seen if (file := path / WANDB_ID).is_file()}
    for entry in wandb_read.runs(folder, without=ids):
        config, logs = entry["config"] or {}, tuple(entry["dirs"])
        if config.get("debug"):
            continue
        path = Path(config["run_folder"]) if "run_folder" in config else None
        if path is not None and path.resolve() not in seen and is_complete(path):
            seen.add(path.resolve())
            _add(path, into)
            continue
        summary = _summary_of_log(config, entry["summary"])
        if summary is None:
            into.left_out[logs[-1]] = f"W&B run {entry['name']} has no test results (state {entry['state']})"
            continue
        into.runs.append(FinishedRun(logs[-1], summary, flat_config(config), logs))


def _summary_of_log(config: Mapping[str, Any], logged: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the run's own summary would say of its test, from W&B's; None where no test was logged."""
    whole: dict[str, float] = {}
    sets: dict[str, dict[str, dict[str, float]]] = {}
    for key, value in logged.items():
        match key.split("/"):
            case ["test", metric]:
                whole[metric] = value
            case ["test", *name, metric]:  # of one of several sets
                sets.setdefault("/".join(name), {"after": {}})["after"][metric] = value
    if not whole and not sets:
        return None
    return {
        **({"test_by_set": sets} if sets else {}),
        **{"strategy": config["strategy_name"], "loss": config["loss_id"], "seed": config["seed"]},
        **{"data": config["data_id"], "test_set": None, "test": {"after": whole}},
    }


def flat_config(node: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what makes the run's arm, as dotted keys.

    Interpolations are left out: what they stand for is there under its own key.
    """
    leaves = dict(flat(node))
    chosen = {group: names(node[group]) or "none" for group in ("pairs", "filter", "callbacks") if group in node}
    kept = {key: value for key, value in leaves.items() if not f"{key}.".startswith(_NO_ARM) and "${" not in str(value)}
    return kept | chosen
