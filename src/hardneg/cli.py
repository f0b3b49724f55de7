"""The hardneg command: `hardneg COMMAND ...`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from hardneg import allocator
from hardneg.errors import ConfigError, UserError

COMMANDS = {
    "train": "train a dual encoder with the negatives you choose (a Hydra app; -m for a sweep)",
    "train-teacher": "train a cross-encoder, for filters and distillation (a Hydra app)",
    "mine": "mine hard negatives, filter and store them, with a report (a Hydra app)",
    "probe": "estimate the false-negative rate of mined lists, by hidden positives (a Hydra app)",
    "evaluate": "rank a data set with a checkpoint (a Hydra app)",
    "compare": "put finished runs side by side, with paired tests",
    "ab": "compare an old and a new ranking before a rollout, with a gate for CI",
    "resume": "go on with an interrupted run, from its run folder",
    "export": "write a trained encoder as a sentence-transformers folder with a model card",
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
        sys.exit(2)


def _run(command: str, rest: list[str]) -> None:
    if command == "compare":
        from hardneg.compare.command import main as compare

        compare(rest)
    elif command == "ab":
        _quiet()
        from hardneg.ab.command import main as ab

        ab(rest)
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
    """Start a command as a Hydra app over conf/."""
    import hydra

    from hardneg import configs

    configs.register_resolvers()
    whole = list(sys.argv)

    def task(cfg: Any) -> Any:
        sys.argv = whole  # Hydra has read its part; Lightning re-runs all of it for other ranks
        _quiet()
        return _reporting(_entry(command))(cfg)

    sweep = [word for word in rest if word in ("-m", "--multirun")]  # argparse takes no flag between the overrides
    sys.argv = [f"{whole[0]} {command}", *sweep, *(word for word in rest if word not in sweep)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us: of an unknown key Hydra says to add it with a +
    try:
        hydra.main(config_path=configs.CONFIG_PATH, config_name=command.replace("-", "_"), version_base="1.3")(task)()
    except hydra.errors.HydraException as error:
        raise ConfigError(_plain_words(error)) from error


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


def _entry(command: str) -> Callable[[Any], Any]:
    name = command.replace("-", "_")
    return getattr(import_module(f"hardneg.{name}"), name)


def _reporting(entry: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Print a user's error without a traceback; in a sweep let Hydra go on with the other jobs."""

    def run(cfg: Any) -> Any:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        try:
            return entry(cfg)
        except KeyboardInterrupt:
            log.error("interrupted")
            sys.exit(130)
        except UserError as error:
            log.error("error: %s", error)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            sys.exit(2)

    return run


def _quiet() -> None:
    """Silence what libraries say on every run: tips, and hints that do not apply to us."""
    import warnings

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # It is: the data module keeps the position.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    # They are meant: a frozen tower of documents.
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode at the start of training.*")
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
