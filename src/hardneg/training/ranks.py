"""Starting the processes that the trainer asks for before anything is computed, so that they share mining too."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import lightning as L
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.errors import RankLost
from hardneg.system import distributed, launch, process_group
from hardneg.system.log_level import at_level

log = logging.getLogger(__name__)

WATCHES_RANKS = "lightning.fabric.strategies.launchers.subprocess_script"  # the logger of what ends them all with one
DECIDE_RANKS = ("_target_", "accelerator", "devices", "num_nodes", "strategy", "plugins")  # arguments of the Trainer


@contextmanager
def joined(cfg: DictConfig) -> Iterator[None]:
    """Start or join the run's other ranks, each on its device; they part at the end.

    Lightning would do so in `fit`, when a frozen miner or teacher has already worked on one device, and each process of
    torchrun or srun for itself. Raises `ConfigError` where those are not as many as the trainer has devices, and
    `RankLost` where one of them has ended.
    """
    wanted = {key: value for key, value in classes.plain(cfg.trainer).items() if key in DECIDE_RANKS}
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    strategy = classes.build({**wanted, **quiet, "enable_model_summary": False}).strategy
    launch.check_count(strategy.num_processes * strategy.num_nodes if hasattr(strategy, "num_processes") else 1)
    launcher = strategy.launcher
    # Where other processes were started already, some strategies have no launcher, and some one that starts none.
    joins = launcher is None and isinstance(strategy, ParallelStrategy)
    if not joins and not isinstance(launcher, _SubprocessScriptLauncher):  # one process, or such as begin with `fit`
        with distributed.computing_on(strategy.root_device):
            yield
        return
    strategy.connect(L.LightningModule())  # split weights want one to note the devices on
    if joins:
        strategy.setup_environment()
    else:
        launcher.launch(strategy.setup_environment)
    with distributed.computing_on(strategy.root_device), _told_of_kills():
        try:
            yield
        except Exception as error:
            if launcher is not None:
                launcher.kill(signal.SIGTERM)  # they may wait for us
            if process_group.is_lost(error):
                raise RankLost from error
            raise
    process_group.part()


def _told_of_kills() -> AbstractContextManager[None]:
    """Let Lightning say so where it kills a rank, which computes alone, since another has ended."""
    return at_level(WATCHES_RANKS, logging.INFO)
