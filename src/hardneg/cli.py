"""The hardneg command: `hardneg COMMAND ...`."""

from __future__ import annotations

import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from os.path import exists
from types import ModuleType
from typing import Any

from hardneg.errors import UserError
from hardneg.system import allocator
from hardneg.system.as_before import as_before
from hardneg.system.full_disk import CURRENT, TEMPORARY, no_room, temporary_folder
from hardneg.system.library_messages import silence_libraries
from hardneg.system.refused_path import refused_path
from hardneg.system.standard_output import any_letter, lasting, open_missing, until_closed

COMMANDS = {
    "inspect": "describe a data set before training: labels, lengths, duplicates, leaks, and the command to train",
    "train": "train a dual encoder with the negatives you choose (a Hydra app; -m for a sweep)",
    "train-teacher": "train a cross-encoder, for filters and distillation (a Hydra app)",
    "mine": "mine hard negatives, filter and store them, with a report (a Hydra app)",
    "probe": "estimate the false-negative rate of mined lists by hiding known positives (a Hydra app)",
    "evaluate": "rank a data set with a checkpoint (a Hydra app)",
    "compare": "compare finished runs with paired tests",
    "race": "race strategies within a time budget: stop the losers early, and say which one to use",
    "jobs": "show the progress of a sweep's jobs: waiting, running, done, failed",
    "cache": "show what is in the cache that all runs share, and remove what is no longer used",
    "stages": "run a multi-stage recipe, such as RocketQA; resumable",
    "resume": "resume an interrupted run or recipe from its folder",
    "export": "write a trained encoder as a sentence-transformers folder with a model card",
    "merge": "merge encoders of the same architecture into one: a mean of weights (soup), or a point between two",
    "wandb-view": "save a W&B workspace or report that shows the health of negatives by source",
    "import": "convert a sentence-transformers or model2vec folder into a checkpoint",
    "index": "embed a corpus into a searchable index (a Hydra app); also index switch, rollback, list",
    "check": "check whether an index, a model and the live corpus belong together (a Hydra app)",
    "search": "search an index from the terminal",
    "serve": "answer searches over HTTP",
    "renew": "renew a live index from new data: mine, train, build a second index, compare; stops before the switch",
    "ab": "compare an old and a new ranking before a rollout, with a gate for CI",
    "new": "create a package for your own parts: a source, a loss, a filter, a metric, their yamls and tests",
}

# These read their arguments themselves, by `main`; the others are Hydra apps, by a function of the command's name.
PLAIN = (
    *("inspect", "compare", "jobs", "cache", "stages", "resume", "export", "merge", "import", "wandb-view", "search"),
    *("serve", "renew", "ab", "new", "index switch", "index rollback", "index list"),
)
WRITING = ("compare", "stages", "export", "merge", "import", "renew", "ab")  # of these, those that leave files

USAGE = "usage: hardneg COMMAND ...\n\n" + "".join(f"  {name:<15}{text}\n" for name, text in COMMANDS.items())
USAGE += "\n`hardneg COMMAND --help` shows a command's options and examples.\n"


def main() -> None:
    """Run the command that the arguments name."""
    open_missing()
    allocator.keep_freed_memory()
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        from hardneg import __version__

        sys.stdout.write(f"hardneg {__version__}\n")
        return
    if arguments[0] in ("-sc", "--shell-completion"):
        from hardneg.commands.shell_completion import command_to_ask

        arguments = command_to_ask(arguments[1:], COMMANDS, PLAIN)
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        meant = f"; did you mean hardneg {close[0]}?" if close else ";"
        sys.stderr.write(f"hardneg: there is no command {command!r}{meant} `hardneg --help` lists the commands\n")
        sys.exit(2)
    with _told(command), any_letter():
        _run(command, rest)


@contextlib.contextmanager
def _told(command: str) -> Iterator[None]:
    """Say in a line what ended a command, where a user can mend it, and end with the exit code that it has."""
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"hardneg {command}: {error}\n")
        raise SystemExit(2) from error
    except Exception as error:  # torch and safetensors have errors of their own for a disk that is full
        folders = {CURRENT: ".", TEMPORARY: temporary_folder()}
        if (refused := no_room(error, folders) or refused_path(error)) is None:
            raise
        sys.stderr.write(f"hardneg {command}: {refused}\n")
        raise SystemExit(2) from UserError(refused)
    except KeyboardInterrupt as error:
        # On a line of its own, after the terminal's ^C.
        sys.stderr.write("\n" * sys.stderr.isatty() + f"hardneg {command}: interrupted\n")
        _end_at_once()
        raise SystemExit(130) from error
    except SystemExit as stop:
        if stop.code == 130:
            _end_at_once()
        raise


def _end_at_once() -> None:
    """Have another Ctrl-C end the process while Python exits, which takes seconds; it showed a traceback of torch's."""
    with contextlib.suppress(ValueError):  # in another thread than the main one
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(command: str, *arguments: str) -> None:
    """Run a command in this process, for notebooks and scripts; the arguments are those of the command line, unquoted.

    Messages go to stdout. Logging and `sys.argv` are unchanged afterwards. Raises `UserError` if the command line would
    have ended with an exit code other than 0, and `KeyboardInterrupt` if it was interrupted.
    """
    with in_process(command, *arguments):
        main()


@contextlib.contextmanager
def in_process(command: str, *arguments: str) -> Iterator[None]:
    """Run the block as a command's process would; an exit becomes an exception, and afterwards all is as before."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(sys.stdout), as_before():
        # Bars are text here, with or without widgets.
        warnings.filterwarnings("ignore", message="IProgress not found")
        sys.argv = [__file__, command, *arguments]  # a file: Lightning starts the other ranks of a DDP run by it
        try:
            yield
        except SystemExit as stop:
            if stop.code in (130, 143):  # Ctrl-C in training ends as SIGTERM does, after the step
                raise KeyboardInterrupt from None
            if stop.code:
                cause = stop.__cause__ if isinstance(stop.__cause__, UserError) else None
                raise cause or UserError(f"hardneg {command} ended with exit code {stop.code}") from None


def _run(command: str, rest: list[str]) -> None:
    if any("storage=" in word for word in rest) and command not in PLAIN:
        from hardneg.config.database_password import words_without_password

        rest = words_without_password(rest)
        sys.argv[1:] = [command, *rest]  # which a run keeps with its results
    if command == "check":  # the index may be given as a word
        from hardneg.config.command_words import quoted

        rest = [
            f"path={quoted(word)}" if word[:1] != "-" and ("=" not in word or exists(word)) else word for word in rest
        ]
    if command == "resume":
        command, rest = _command_module("resume").command_of(rest)
        # Lightning starts the other ranks of a DDP run with our own argv: let it say what is run.
        sys.argv[1:] = [command, *rest]
    if command == "race":
        command, rest = _command_module("race").command_of(rest)
    if command in PLAIN or " ".join([command, *rest[:1]]) in PLAIN:
        silence_libraries()
        with lasting() if command in WRITING else until_closed():
            _command_module(command).main(rest)
    else:
        from hardneg.data.readers.guess import said_of, with_kind
        from hardneg.sweep.hydra_app import start

        rest, kind = with_kind(rest)
        if kind is not None:
            sys.stderr.write(f"hardneg {command}: {said_of(rest, kind)}\n")
        with lasting():
            start(command, rest, partial(_call, command))


def _call(command: str, cfg: Any) -> Any:
    """Do what a Hydra command does with its config; only now is what it needs imported."""
    return getattr(_command_module(command), command.replace("-", "_"))(cfg)


def _command_module(command: str) -> ModuleType:
    name = command.replace("-", "_")
    return import_module(f"hardneg.commands.{name if name != 'import' else 'import_'}")


if __name__ == "__main__":
    main()
