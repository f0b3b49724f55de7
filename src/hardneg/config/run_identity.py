"""The identity of a run: its config without settings of storage and display."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

AUTO, BATCH = "auto", 64  # a batch to be settled; its value until then, for an encoder without a batch_size of its own
STATUS = "status.json"  # of a run's folder (`hardneg.runs.status`)
SHOWING = ("lr_monitor", "model_summary", "device_stats")  # callbacks that change nothing
KEPT_AND_SHOWN = (
    *("paths.", *(f"callbacks.{name}." for name in SHOWING)),
    *("run_name.", "strategy_name.", "cache.", "data.cache."),
    *("encoder.batch_size.", "num_workers.", "checkpoint.", "logger.", "trainer.enable_progress_bar.", "alarms."),
    "evaluate.compare_with_all.",
)
OTHERS_BATCH = ".encoder.batch_size"  # of a miner or a teacher: `batch_size=auto` takes that of the run itself
ORDERED = ("pairs", "negatives", "loss", "filter", "callbacks")  # groups in which the order of the parts matters


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings, and of lists of these, under dotted keys."""
    if isinstance(node, list) and node and all(isinstance(part, Mapping) for part in node):
        node = dict(enumerate(node))
    if isinstance(node, Mapping) and (node or not prefix):
        for key, value in node.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        # W&B's log writes 1.0 as 1
        yield prefix, int(node) if isinstance(node, float) and node.is_integer() else node


def goes_on(ckpt_path: str | None, folder: Path) -> bool:
    """Whether a run in this folder goes on from its own checkpoint, not another run's."""
    return bool(ckpt_path) and Path(str(ckpt_path)).resolve().parent == folder.resolve() / "checkpoints"


def settings(cfg: Any, folder: Path | None = None) -> dict[str, Any]:
    """Return the settings that determine a run, under dotted keys, interpolations unresolved.

    `folder` is the run's: a `ckpt_path` in it is that of a run that goes on, not one that it was asked to start from.
    What is `auto` counts as `in_numbers` has it.
    """
    node: Any = OmegaConf.to_container(cfg, resolve=False) if OmegaConf.is_config(cfg) else dict(cfg)
    node.pop("hydra", None)
    node = in_numbers(node, folder)
    if folder is not None and goes_on(node.get("ckpt_path"), folder):
        node["ckpt_path"] = None
    counts = {key: value for key, value in flat(node) if not key.endswith(OTHERS_BATCH)}
    kept = {key: value for key, value in counts.items() if not f"{key}.".startswith(KEPT_AND_SHOWN)}
    if not any("${stage:" in str(value) for value in kept.values()):  # then it only tells where the run lies
        kept.pop("stages", None)
    return kept | {group: chosen(node[group]) for group in ORDERED if isinstance(node.get(group), Mapping)}


def in_numbers(node: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return plain settings with the numbers that `batch_size=auto` and `encoder.lr=auto` have come to in this folder.

    Until they are found, the batch counts as the encoder's, which it is unless queries or memory are few, and the rate
    as `auto`.
    """
    encoder = dict(node.get("encoder") or {})
    found = {}
    if node.get("batch_size") == AUTO:
        found["batch_size"] = found_batch_size(folder) or encoder.get("batch_size") or BATCH
    if encoder.get("lr") == AUTO:
        found["encoder"] = {**encoder, "lr": found_learning_rate(folder) or AUTO}
    return {**node, **found}


def found_batch_size(folder: Path | None) -> int | None:
    """Return the batch that `batch_size=auto` has found for the run in this folder; None as long as it has not."""
    return found(folder, "batch_size")


def found_learning_rate(folder: Path | None) -> float | None:
    """Return the rate that `encoder.lr=auto` has found for the run in this folder; None as long as it has not."""
    return found(folder, "learning_rate")


def found(folder: Path | None, name: str) -> Any:
    """Return what the status of the run in this folder has under a name; None where there is nothing."""
    return None if folder is None else (written_status(folder) or {}).get(name)


def written_status(folder: Path) -> dict[str, Any] | None:
    """Return the status that was written last in this folder, whoever is at work there; None without a whole one."""
    try:
        return json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def reads_encoder_lr(node: Mapping[str, Any]) -> bool:
    """Whether anything in a config with unresolved interpolations refers to the encoder's rate."""
    return any("encoder.lr}" in str(value) for _, value in flat(node.get("optimizer") or {}))


def seeks_rate(cfg: DictConfig) -> bool:
    """Whether a run of this config has a rate to find for `encoder.lr=auto`."""
    node: Any = OmegaConf.to_container(cfg, resolve=False)
    return (node.get("encoder") or {}).get("lr") == AUTO and reads_encoder_lr(node)


def chosen(group: Mapping[str, Any] | None) -> str:
    """The names of the chosen parts of a group, in order, without callbacks that only show."""
    return "+".join(name for name in group or () if name not in SHOWING)


def hashed(settings: Mapping[str, Any]) -> str:
    """Hash what `settings` returns."""
    return blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=5).hexdigest()


def identity(cfg: Any, folder: Path | None = None) -> str:
    """Name a run by its settings: equal for runs that would have the same results."""
    return hashed(settings(cfg, folder))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "+".join(map(str, value))


def data_name(*, _root_: DictConfig) -> str:
    """Stand for `${data_name:}` in names of runs: the data's `name`, else where they are, the sets, or the kind."""
    node: Any = _root_.get("data") or {}
    path = node.get("path")
    found = node.get("name") or node.get("repo") or node.get("id")
    found = found or (path and Path(str(path)).expanduser().resolve().name)
    found = found and re.sub(r"\.jsonl?(\.(gz|bz2|xz|zst))?$", "", str(found))
    if found and not node.get("name"):
        found = "_".join(_word(part) for part in (found, node.get("subset"), node.get("language")) if part)
    found = found or "+".join(node.get("sets") or ()) or str(node.get("_target_", "none")).rsplit(".", 1)[-1].lower()
    return re.sub(r"[^\w.+-]+", "_", str(found)).strip("_")


def of_root(*, _root_: DictConfig) -> str:
    """Stand for `${identity:}`, which a sweep's folders are named by: numbers move when the sweep grows."""
    return identity(_root_)
