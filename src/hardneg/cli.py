"""The hardneg command: `hardneg COMMAND ...`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hardneg import allocator
from hardneg.errors import ConfigError, JobFailed, UserError

COMMANDS = {
    "train": "train a dual encoder with the negatives you choose (a Hydra app; -m for a sweep)",
    "train-teacher": "train a cross-encoder, for filters and distillation (a Hydra app)",
    "mine": "mine hard negatives, filter and store them, with a report (a Hydra app)",
    "probe": "estimate the false-negative rate of mined lists, by hidden positives (a Hydra app)",
    "evaluate": "rank a data set with a checkpoint (a Hydra app)",
    "compare": "put finished runs side by side, with paired tests",
    "jobs": "show how far the jobs of a sweep are: waiting, running, done, failed",
    "resume": "go on with an interrupted run, from its run folder",
    "export": "write a trained encoder as a sentence-transformers folder with a model card",
    "wandb-view": "save a W&B workspace or report that shows the health of negatives by source",
    "import": "turn a sentence-transformers folder into a checkpoint",
}

USAGE = "usage: hardneg COMMAND ...\n\n" + "".join(f"  {name:<15}{text}\n" for name, text in COMMANDS.items())
USAGE += "\n`hardneg COMMAND --help` shows a command's options and examples.\n"

log = logging.getLogger("hardneg")


def main() -> None:
    """Run the command that the arguments name."""
    allocator.keep_freed_memory()
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        from hardneg import __version__

        sys.stdout.write(f"hardneg {__version__}\n")
        return
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        sys.stderr.write(f"hardneg: there is no command {command!r}\n\n{USAGE}")
        sys.exit(2)
    try:
        _run(command, rest)
    except UserError as error:
        sys.stderr.write(f"hardneg {command}: {error}\n")
        raise SystemExit(2) from error


def run(command: str, *arguments: str) -> None:
    """Run a command in this process, for notebooks and scripts; the arguments are words of the command line, unquoted.

    What it says goes to stdout. Logging and `sys.argv` are as before afterwards. Raises `UserError` where the command
    line would have ended with another exit code than 0, and `KeyboardInterrupt` where it was interrupted.
    """
    import warnings

    warnings.filterwarnings("ignore", message="IProgress not found")  # bars are text here, with or without widgets
    with contextlib.redirect_stderr(sys.stdout), _as_before():
        sys.argv = ["hardneg", command, *arguments]
        try:
            main()
        except SystemExit as stop:
            if stop.code in (130, 143):  # Ctrl-C in training ends as SIGTERM does, after the step
                raise KeyboardInterrupt from None
            if stop.code:
                cause = stop.__cause__ if isinstance(stop.__cause__, UserError) else None
                raise cause or UserError(f"hardneg {command} ended with exit code {stop.code}") from None


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Put back what a command changes for its process: arguments, root logging, environment, Hydra's singleton."""
    root = logging.getLogger()
    argv, environment, level, handlers = list(sys.argv), dict(os.environ), root.level, list(root.handlers)
    try:
        yield
    finally:
        sys.argv = argv
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in os.environ.keys() - environment.keys() - {"WANDB_SERVICE"}:  # W&B's service goes on
            del os.environ[name]
        os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
        if "hydra" in sys.modules:
            from hydra.core.global_hydra import GlobalHydra

            GlobalHydra.instance().clear()


def _run(command: str, rest: list[str]) -> None:
    if command == "compare":
        from hardneg.compare.command import main as compare

        compare(rest)
    elif command == "wandb-view":
        from hardneg.runlog.view_command import main as wandb_view

        wandb_view(rest)
    elif command == "jobs":
        from hardneg.sweep.command import main as jobs

        jobs(rest)
    elif command in ("export", "import"):
        _quiet()
        from hardneg.exchange.command import export, import_

        (export if command == "export" else import_)(rest)
    elif command == "resume":
        from hardneg.resume import command_of

        command, rest = command_of(rest)
        # Lightning starts the other ranks of a DDP run with our own argv: let it say what is run.
        sys.argv[1:] = [command, *rest]
        _hydra_app(command, rest)
    else:
        _hydra_app(command, rest)


def _hydra_app(command: str, rest: list[str]) -> None:
    """Start a command as a Hydra app over conf/; a sweep ends with a table of its jobs, and with 1 if any failed."""
    import hydra
    from hydra.core.plugins import Plugins

    from hardneg import configs
    from hardneg.job import run
    from hardneg.preflight import Preflight
    from hydra_plugins.hardneg import Processes

    configs.register_resolvers()
    Plugins.instance().register(Processes)  # Hydra does not see it in an editable install
    Preflight.sweep = None
    whole = list(sys.argv)

    def task(cfg: Any) -> Any:
        sys.argv = whole  # Hydra has read its part; Lightning re-runs all of it for other ranks
        _quiet()
        return run(command, cfg)

    sweep = [word for word in rest if word in ("-m", "--multirun")]  # argparse takes no flag between the overrides
    sys.argv = [f"{whole[0]} {command}", *sweep, *(word for word in rest if word not in sweep)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us: of an unknown key Hydra says to add it with a +
    try:
        hydra.main(config_path=configs.CONFIG_PATH, config_name=command.replace("-", "_"), version_base="1.3")(task)()
    except JobFailed:  # it has said why
        sys.exit(1)
    except hydra.errors.HydraException as error:
        raise ConfigError(_plain_words(error)) from error
    finally:
        if Preflight.sweep is not None:
            _tell(Preflight.sweep, command)


def _tell(sweep: Path, command: str) -> None:
    """End a sweep with its table, and with what to do next."""
    from hardneg.sweep.table import rows, show

    found = rows(sweep)
    show(sweep, found)
    if any(row.state != "done" for row in found):
        log.info("the same command with hydra.sweep.dir=%s runs only what is missing", sweep)
    elif command.startswith("train"):
        log.info("which is better: hardneg compare %s", sweep)


def _plain_words(error: Exception) -> str:
    """Say what is wrong with the command line; for an unknown key with its neighbours."""
    from hydra.errors import OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and "not in struct" in str(cause):
        known = sorted(str(key) for key in cause.parent_node or ())
        parent, _, key = str(cause.full_key).rpartition(".")
        close = get_close_matches(key, known, n=1)
        near = f"; did you mean {'.'.join(filter(None, (parent, close[0])))}?" if close else "."
        return f"there is no key {cause.full_key}{near} {parent or 'The config'} has {', '.join(known)}"
    if isinstance(error, OverrideParseException):
        return f"{str(error).splitlines()[0]}; quote what holds = , [ ] {{ }} or blanks, as in 'data.path=\"a=b\"'"
    lines = [line.strip() for line in str(error).splitlines() if "provider=" not in line]
    return " ".join(filter(None, lines)).removesuffix("Config search path:").strip()


def _quiet() -> None:
    """Silence what libraries say on every run: tips, and hints that do not apply to us."""
    import warnings

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # It is: the data module keeps the position.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*recommended to use .self.log.*sync_dist=True.*")
    if os.environ.get("LOCAL_RANK", "0") != "0":
        logging.getLogger("hardneg").setLevel(logging.WARNING)  # rank 0 says it
    logging.getLogger("lightning.pytorch").handlers.clear()  # ours print the same lines
    # Bars of a second each that stay on the screen; ours show what takes long.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for noisy in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
