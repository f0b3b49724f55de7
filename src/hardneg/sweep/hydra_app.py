"""A command as a Hydra app over conf/, alone or as a sweep."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.plugins import Plugins

from hardneg.config import composition
from hardneg.config.classes import hydras_own_whitelist_off
from hardneg.config.command_words import to_type
from hardneg.config.package_lines import checked_where_shown, unreadable
from hardneg.config.slips import in_plain_words, no_option
from hardneg.errors import ConfigError, JobFailed
from hardneg.preflight.config import check_config
from hardneg.runs.job import Entry, run
from hardneg.sweep.check_jobs import Preflight
from hardneg.sweep.outcome import next_step
from hardneg.system.library_messages import silence_libraries
from hydra_plugins.hardneg import Optuna, Processes, Race

log = logging.getLogger(__name__)

CHECK = "_check_help"  # of argparse, from Python 3.14 on


def start(command: str, rest: list[str], entry: Entry) -> None:
    """Start a command as a Hydra app over conf/; a sweep ends with a table of its jobs, and with 1 if any failed.

    `entry` is what the command does with a config.

    Raises `ConfigError`, in plain words, for what Hydra cannot compose.
    """
    composition.register_resolvers()
    for plugin in (Processes, Optuna, Race):  # Hydra does not see them in an editable install
        Plugins.instance().register(plugin)
    Preflight.sweep, Preflight.checked = None, False
    whole = list(sys.argv)

    def task(cfg: Any) -> Any:
        sys.argv = whole  # Hydra has read its part; Lightning re-runs all of it for other ranks
        silence_libraries()
        return run(checked, cfg)

    def checked(cfg: Any) -> Any:
        if not Preflight.checked:  # a job of a sweep, whose files may have changed since, or another rank
            check_config(cfg)
        return entry(cfg)

    sweep = [word for word in rest if word in ("-m", "--multirun")]  # argparse takes no flag between the overrides
    sys.argv = [f"{whole[0]} {command}", *sweep, *(word for word in rest if word not in sweep)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # pass errors on to us: for an unknown key Hydra advises to add it with a +
    try:
        app = hydra.main(config_path=composition.CONFIG_PATH, config_name=command.replace("-", "_"), version_base="1.3")
        with hydras_own_whitelist_off(), _help_unread(), _in_words(command, rest), checked_where_shown(rest):
            app(task)()
    except JobFailed:  # it has said why
        sys.exit(1)
    finally:
        if Preflight.sweep is not None:
            _tell(Preflight.sweep)


@contextmanager
def _help_unread() -> Iterator[None]:
    """Let Hydra 1.3 start on Python 3.14, which reads an option's help as it is added.

    One of Hydra's is no string before it is shown; Hydra 1.4 leaves out the same check.
    """
    checked = getattr(ArgumentParser, CHECK, None)
    if checked is not None:
        setattr(ArgumentParser, CHECK, lambda *_: None)
    try:
        yield
    finally:
        if checked is not None:
            setattr(ArgumentParser, CHECK, checked)


@contextmanager
def _in_words(command: str, rest: list[str]) -> Iterator[None]:
    """Raise `ConfigError`, in plain words, for what Hydra cannot read or compose."""
    try:
        yield
    except (UnicodeDecodeError, yaml.YAMLError) as error:  # the first is a ValueError
        if (said := unreadable(error, rest)) is None:
            raise
        raise ConfigError(said) from error
    except ValueError as error:
        if "Config group override must be" not in str(error):
            raise
        raise ConfigError(no_option(rest, str(error))) from error
    except hydra.errors.HydraException as error:
        raise ConfigError(in_plain_words(error, command.replace("-", "_"))) from error


def _tell(sweep: Path) -> None:
    """End a sweep with its table, and with what to do next."""
    from hardneg.sweep.jobs_table import rows, show  # which draw tables: of all starts only a sweep's needs it

    found = rows(sweep)
    if not found:  # it was refused before any job was
        return
    show(sweep, found)
    again = f"the same command with {to_type('hydra.sweep.dir', sweep)} runs only what is missing"
    log.info("%s", next_step(sweep, found) or again)
