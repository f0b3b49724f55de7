"""What can be known to fail before the first stage costs anything."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.errors import HydraException
from omegaconf import DictConfig

from hardneg.config import composition
from hardneg.config.command_words import command_line, key_of, quoted
from hardneg.config.slips import in_plain_words
from hardneg.config.started_with import MAY_CHANGE
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config
from hardneg.preflight.machine import check_machine
from hardneg.runs.folder import BEST, CHECKPOINTS, LAST
from hardneg.stages.recipe import MERGE, Stage, StagesPlan


def check(plan: StagesPlan) -> None:
    """Raise `ConfigError`, naming the stage, for a config that cannot work or a stage that was begun differently.

    Empty files stand in for what a stage will leave, so that later stages may refer to it, and earlier ones may not.
    """
    for stage in plan.stages:
        if stage.command != MERGE:
            check_begun(plan, stage)
    more = [] if plan.config_dir is None else [f"hydra.searchpath=['file://{plan.config_dir}']"]
    with TemporaryDirectory() as made, composition.composing():
        for stage in plan.stages:
            if stage.command == MERGE:
                _leave(Path(made) / stage.name, BEST)
                continue
            overrides = [*stage.overrides, f"stages={quoted(made)}", *more]
            try:
                cfg = composition.compose(stage.command.replace("-", "_"), overrides)
                check_config(cfg)
                check_machine(cfg)
            except (ConfigError, HydraException) as error:
                words = in_plain_words(error) if isinstance(error, HydraException) else str(error)
                raise ConfigError(f"stage {stage.name}: {words.replace(made, str(plan.folder))}") from error
            pretend(Path(made) / stage.name, cfg)


def check_begun(plan: StagesPlan, stage: Stage) -> None:
    """Raise `ConfigError` where a stage has trained with other overrides than it is asked for now."""
    # The folder of the stages may change, and a resumed run names its checkpoint, and settings that its yaml has too.
    asked = stage.asked()
    resumed, named = any(o.startswith("ckpt_path=") for o in asked), {key_of(o) for o in stage.overrides}
    added = {key for key in MAY_CHANGE if resumed and key not in named}
    before, now = ({o for o in given if not _is_place(o)} for given in (asked, stage.overrides))
    before = {o for o in before if key_of(o) not in added}
    if stage.begun and before != now:
        odd = [f"with {o}" for o in sorted(before - now)] + [f"without {o}" for o in sorted(now - before)]
        raise ConfigError(
            f"stage {stage.name} in {plan.folder} was started {', '.join(odd)}; give the same overrides to go on"
            f" ({command_line('resume', plan.folder)}), or another hydra.run.dir"
        )


def _is_place(override: str) -> bool:
    return override.startswith(("stages=", "ckpt_path="))


def pretend(folder: Path, cfg: DictConfig) -> None:
    """Put empty files where a run of this config leaves its checkpoints, or its teacher."""
    _leave(folder, *((LAST,) if cfg.split.dev is None else (LAST, BEST)))
    if "remine" not in cfg:
        (folder / "teacher").mkdir()


def _leave(folder: Path, *names: str) -> None:
    (folder / CHECKPOINTS).mkdir(parents=True)
    for name in names:
        (folder / CHECKPOINTS / name).touch()
