"""What a W&B run keeps beside its metrics, and what it took from other runs: artifacts, with lineage."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardneg.config.run_summary import SUMMARY
from hardneg.errors import ConfigError
from hardneg.runlog.files import WANDB_ID

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

KINDS = ("run", "checkpoint", "store")
RESULTS = ("test.run", "per_query.parquet", SUMMARY)


def check_kinds(kinds: Any, key: str = "logger.wandb.artifacts") -> None:
    """Raise `ConfigError` unless these are names of what can be kept."""
    if isinstance(kinds, str) or not isinstance(kinds, Collection) or set(kinds) - set(KINDS):
        raise ConfigError(f"{key}={kinds!r}: must be a list of {', '.join(KINDS)}; [] keeps metrics and tables only")


def trace(inputs: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Describe checkpoints that a run starts from or mines with, by config key: path, sha256, the run that wrote it.

    `run_id` is set where the checkpoint lies in a run folder that W&B knows. A checkpoint that is gone is left out: a
    resumed run no longer needs what it started from.
    """
    found = {}
    for key, given in inputs.items():
        path = Path(given).absolute()
        if not path.is_file():
            continue
        with path.open("rb") as file:
            found[key] = {"path": str(path), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        id_file = path.parent.parent / WANDB_ID
        if id_file.is_file():
            found[key]["run_id"] = id_file.read_text(encoding="utf-8").strip()
    return found


class Artifacts:
    """Logs the chosen kinds as artifacts of one W&B run: what it made as outputs, what it found as inputs.

    `run` is test.run (or test/SET.run), per_query.parquet and summary.json; `checkpoint` the tested checkpoint; `store`
    each mined list. Stores are named by their content, so a list that many runs share is kept once. A checkpoint is
    named by the run that made it, so an input joins the output of that run. Both hold offline: the log says that an
    artifact is used, and `wandb sync` uploads and links it, on the machine where the files are. An artifact that cannot
    be logged is a warning: it is no reason to lose a run.
    """

    def __init__(self, run: wandb.Run, kinds: Collection[str]) -> None:
        self.run, self.kinds = run, frozenset(kinds)

    def log_run(self, folder: Path, checkpoint: Path) -> None:
        """Keep what a finished run has left."""
        if "run" in self.kinds:
            files = [folder / name for name in RESULTS if (folder / name).is_file()]
            files += sorted(folder.glob("test/*.run"))  # of several test sets
            self._log(f"run-{self.run.id}", "run-files", files, copy=True)
        if "checkpoint" in self.kinds and checkpoint.is_file():
            self._log(f"checkpoint-{self.run.id}", "model", [checkpoint])

    def use_checkpoints(self, inputs: Mapping[str, Mapping[str, str]]) -> None:
        """Link what the run starts from or mines with, as `trace` describes it."""
        for one in inputs.values() if "checkpoint" in self.kinds else ():
            owner = one.get("run_id", one["sha256"][:16])
            self._log(f"checkpoint-{owner}", "model", [Path(one["path"])], used=True)

    def log_store(self, source: str, folder: Path, card: Mapping[str, Any], mined: bool) -> None:
        """Say in the summary which list a source draws from; keep it as an output if this run `mined` it, else link it.

        The files are linked to where W&B keeps its own copies: the cache may forget the list before it is uploaded.
        """
        self.run.summary[f"stores/{source}"] = {"name": folder.name, "mined": mined}
        if "store" in self.kinds:
            metadata = {"source": source, **card}
            try:
                staged = _linked(folder, Path(os.environ["WANDB_DATA_DIR"]) / "stores" / folder.name)
            except OSError as error:
                log.warning("W&B artifact store-%s not logged: %s", folder.name, error)
                return
            self._log(f"store-{folder.name}", "store", staged, metadata=metadata, used=not mined)

    def _log(
        self,
        name: str,
        kind: str,
        files: Iterable[Path],
        metadata: Mapping[str, Any] | None = None,
        used: bool = False,
        copy: bool = False,
    ) -> None:
        """Log one artifact; without `copy` the files must stay as they are until they are uploaded."""
        import wandb

        try:
            artifact = wandb.Artifact(name, kind, metadata=dict(metadata or {}))
            for file in files:
                # Nobody would read a second copy in the user's cache.
                artifact.add_file(str(file), policy="mutable" if copy else "immutable", skip_cache=True)
            if used:
                self._use(artifact)
            else:
                self.run.log_artifact(artifact)
        except Exception as error:  # W&B raises all sorts of errors from its server, its checks and the disk
            log.warning("W&B artifact %s not logged: %s", name, " ".join(str(error).split()))

    def _use(self, artifact: wandb.Artifact) -> None:
        """Link an input that may or may not be on the server.

        `use_artifact` refuses to work offline, and waits for the upload online. What it calls does neither: the log
        notes the use, and the server is told when the artifact is there, at once or by `wandb sync`.
        """
        if hasattr(self.run, "_log_artifact"):
            self.run._log_artifact(artifact, is_user_created=True, use_after_commit=True)
        elif not self.run.offline:
            self.run.use_artifact(artifact)
        else:
            log.warning("this version of wandb cannot link %s offline; the config names it", artifact.name)


def _linked(folder: Path, target: Path) -> list[Path]:
    """Return the folder's files under `target`, as hard links where the disk allows."""
    target.mkdir(parents=True, exist_ok=True)
    found = []
    for file in sorted(folder.iterdir()):
        here = target / file.name
        if not here.exists():
            draft = here.with_name(f".{here.name}.{uuid.uuid4().hex[:8]}.tmp")  # other runs may be linking it too
            try:
                os.link(file, draft)
            except OSError:  # another disk
                shutil.copyfile(file, draft)
            draft.replace(here)
        found.append(here)
    return found
