"""What a job finds in its folder: a finished run of its config, or a run of another one, which it must not touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hardneg.config import run_identity, started_with
from hardneg.config.run_summary import is_complete
from hardneg.errors import ConfigError
from hardneg.runs import status
from hardneg.runs.folder import note_setting


def finished(folder: Path, cfg: DictConfig) -> status.Status | None:
    """Return the status of a finished run of this config, None if there is none; `ConfigError` for another config's.

    Without a summary.json no run is finished: deleting it asks for the run once more. The result of mining is in the
    cache.
    """
    check_same(folder, cfg)
    if not is_complete(folder):
        return None
    found = status.read(folder)
    return found if found is not None and found["state"] == "done" else None


def note_found(cfg: DictConfig, folder: Path) -> None:
    """Write what `auto` stood for into a finished run's config, which Hydra has just written anew as `cfg` asks."""
    asked: Any = OmegaConf.to_container(cfg, resolve=False)
    numbers = run_identity.in_numbers(asked, folder)
    if asked.get("batch_size") == run_identity.AUTO:
        note_setting(folder, "batch_size", numbers["batch_size"])
    if run_identity.seeks_rate(cfg):
        note_setting(folder, "encoder.lr", numbers["encoder"]["lr"])


def check_same(folder: Path, cfg: DictConfig) -> None:
    """Raise `ConfigError` if the folder holds a run of another config, naming a setting that differs."""
    found, own = status.read(folder), run_identity.identity(cfg, folder)
    written = started_with.config_of(folder)
    if found is None and written is None:
        return
    before = {} if written is None else run_identity.settings(written, folder)
    if (found["identity"] if found else run_identity.hashed(before)) == own:
        return
    now = run_identity.settings(cfg, folder)
    different = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    said = ", ".join(f"{key}={before.get(key)} (now {now.get(key)})" for key in different[:3])
    raise ConfigError(
        f"{folder} holds a run of another config{': ' * bool(said)}{said}; choose another hydra.sweep.dir, or remove it"
    )
