"""hardneg race: a portfolio of strategies and a time budget in, a decision out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hardneg.errors import ConfigError

SETTINGS = ("budget", "baseline", "rungs", "growth", "keep", "alpha", "seeds", "storage", "study")
OWN_WORDS = tuple(f"{key}=" for key in SETTINGS)
SWEEPER, BELOW = "hydra/sweeper=race", "hydra.sweeper."
PLACE = "hydra.sweep.dir="
EXAMPLES = """words:
  data=..., encoder=..., any argument of hardneg train    applies to all arms
  budget=30m      the time for the race itself, beginning with the check of its arms: 90s, 30m, 2h
  race=default    the arms: default, small, static, transformer, or your own DIR/race/NAME.yaml (--config-dir DIR)
  baseline=in_batch alpha=0.05 rungs=4 growth=2 keep=0.5 seeds=3    see conf/hydra/sweeper/race.yaml
  hydra.sweep.dir=DIR    the race's folder; an existing race is resumed, also by several processes at once

examples:
  hardneg race data=beir data.path=DIR encoder=static budget=10m
  hardneg race data.path=faq.csv encoder=minilm evaluate.documents=subset race=small budget=2h
  hardneg race data=pydocs budget=4m hydra.sweep.dir=multirun/first hydra/launcher=processes hydra.launcher.n_jobs=2
"""


def command_of(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the command and the words of the sweep that a race is; answers --help itself.

    Raises `ConfigError` without a budget or with -m, `UserError` without Optuna.
    """
    parser = argparse.ArgumentParser(
        prog="hardneg race",
        description="Train several strategies within a time budget, stop those that lose on dev, and say which"
        " one to use, or that no difference was found.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="folder with your own yamls, such as race/NAME.yaml")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"), help="print the config and do not race")
    parser.add_argument("--resolve", action="store_true", help="with --cfg: resolve interpolations")
    parser.add_argument("--package", "-p", metavar="PACKAGE", help="with --cfg: print only this part")
    parser.add_argument("words", nargs="*", metavar="WORD", help="see below")
    given, unknown = parser.parse_known_intermixed_args(list(arguments))
    if several := [word for word in unknown if word in ("-m", "--multirun")]:
        raise ConfigError(f"{several[0]}: a race is already a sweep; leave it out")
    if unknown:
        raise ConfigError(f"{unknown[0]} is not an option of hardneg race; see hardneg race --help")
    from hardneg.runs.study import check_optuna

    check_optuna()
    words = [f"{BELOW}{word}" if word.startswith(OWN_WORDS) else word for word in given.words]
    if not any(word.startswith("race=") for word in words):
        words.append("race=default")
    if not any(word.startswith(PLACE) for word in words):
        words.append(PLACE + "${paths.output_dir}/multirun/${now:%Y-%m-%d_%H-%M-%S}_race")
    if other := next((word for word in words if word.startswith("hydra.run.dir=")), None):
        raise ConfigError(f"{other}: a race is a sweep, and its folder is {PLACE}DIR")
    if not any(word.startswith(f"{BELOW}budget=") for word in words):
        raise ConfigError("give a time budget, such as budget=30m (also 90s, 2h)")
    how = ["-m"]
    if given.cfg is not None:
        how = ["--cfg", given.cfg, *(["--resolve"] if given.resolve else [])]
        how += [] if given.package is None else ["--package", given.package]
    place = [] if given.config_dir is None else ["--config-dir", given.config_dir]
    return "train", [*how, *place, SWEEPER, *words]


def as_asked(words: Sequence[str]) -> list[str]:
    """Return the words that `command_of` was given, from those of the sweep that it made of them."""
    own = tuple(BELOW + word for word in OWN_WORDS)  # of others a race takes the whole name
    return [word.removeprefix(BELOW) if word.startswith(own) else word for word in words if word != SWEEPER]
