"""hardneg stages: run a recipe in stages, or go on with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hardneg.config.composition import output_folder
from hardneg.stages.recipe import StagesPlan, make_plan, read_list, recipes, with_kinds
from hardneg.stages.request import PLACE, again, note

ROOT = "paths.output_dir="


def main(arguments: Sequence[str]) -> None:
    """Check all stages, then run those that are not done."""
    plan = plan_of(arguments)
    from hardneg.stages.check_stages import check
    from hardneg.stages.run_stages import run

    again(plan.folder)  # relative paths still lead where they led at first
    plan = with_kinds(plan)
    check(plan)
    note(plan, arguments)
    run(plan)


def plan_of(arguments: Sequence[str]) -> StagesPlan:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="hardneg stages",
        description="Run a multi-stage recipe, one command after the other, in FOLDER/STAGE. To resume, run it again or"
        " use hardneg resume FOLDER: finished stages are kept, and an interrupted one is resumed.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="see below")
    if not arguments:
        parser.error(f"name a recipe: {', '.join(recipes())}")
    parser.add_argument(
        "overrides", nargs="*", help="for all stages, such as seed=2, or for one, such as 2_teacher:batch_size=8"
    )
    parser.add_argument("--config-dir", type=Path, help="folder with your own recipes: experiment/RECIPE/stages.yaml")
    # What the parser does not know, as -m, the plan refuses, naming the word.
    given, unknown = parser.parse_known_intermixed_args(list(arguments))
    overrides = [*given.overrides, *unknown]
    places = [o.removeprefix(PLACE).strip("'\"") for o in overrides if o.startswith(PLACE)]
    roots = [o.removeprefix(ROOT).strip("'\"") for o in overrides if o.startswith(ROOT)]
    new = Path(roots[-1] if roots else output_folder(), "outputs", f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{given.recipe}")
    folder = Path(places[-1] if places else new).resolve()
    own = None if given.config_dir is None else given.config_dir.resolve()
    return make_plan(given.recipe, [o for o in overrides if not o.startswith(PLACE)], folder, own)


def _epilog() -> str:
    there = "".join(f"  {name:<16}{', '.join(read_list(path))}\n" for name, path in recipes().items())
    return (
        f"recipes and their stages:\n{there}\nexamples:\n"
        "  hardneg stages rocketqa_small hydra.run.dir=outputs/rocketqa\n"
        "  hardneg stages simlm_kd data=beir data.path=DIR 3_teacher:batch_size=8 hydra.run.dir=outputs/simlm"
    )
