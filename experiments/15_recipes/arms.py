"""Print the commands of the small recipes and of their baselines, a line each: the folder, then the words.

A baseline is the recipe with in-batch negatives and InfoNCE alone: encoder, batch, optimizer and schedule are its own.
That of a recipe in stages takes the last stage's, and as many steps as all stages that train a dual encoder together.
"""

from __future__ import annotations

import shlex
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from hardneg.config.composition import words_off
from hardneg.stages.recipe import LIST, read_list

RECIPES = Path(str(resources.files("hardneg.conf"))) / "experiment"
STEPS = 50  # of each stage, in place of the small forms' 60 to 100
OWN_STEPS = {"e5": ["2_teacher:trainer.max_steps=100"]}  # its loss is at chance for the first 20
PLAIN = ["data=beir", "logger=csv", "trainer.enable_progress_bar=false", f"trainer.max_steps={STEPS}"]


def main() -> None:
    """Print all lines."""
    data, out, seed, wanted = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    for name, stages in recipes().items():
        if wanted and name not in wanted:
            continue
        common = [*PLAIN, f"data.path={data}", f"seed={seed}"]
        if stages:
            (*_, last) = (stage for stage, command in stages.items() if command == "train")
            dual = sum(command == "train" for command in stages.values())
            line("stages", [f"{name}_small", *common, *OWN_STEPS.get(name, [])], f"{out}/{name}/recipe-{seed}")
            baseline = [f"experiment={name}_small/{last}", f"stages={out}/{name}/recipe-{seed}"]
            longer = [f"trainer.max_steps={STEPS * dual}", "init_from=null"]
        else:
            line("train", [f"experiment={name}_small", *common], f"{out}/{name}/recipe-{seed}")
            baseline, longer = [f"experiment={name}_small"], []
        words = [*baseline, *in_batch(baseline), *common, *longer, "evaluate.before=true"]
        line("train", words, f"{out}/{name}/baseline-{seed}")


def recipes() -> dict[str, dict[str, str]]:
    """Return the recipes that have a small form, those in stages with the command of each stage."""
    alone = {path.stem.removesuffix("_small"): {} for path in RECIPES.glob("*_small.yaml")}
    staged = {path.parent.name.removesuffix("_small"): read_list(path) for path in RECIPES.glob(f"*_small/{LIST}")}
    return dict(sorted((alone | staged).items()))


def in_batch(words: list[str]) -> list[str]:
    """Return what makes a recipe its in-batch baseline."""
    cfg = composed(words)
    left = {"negatives": "in_batch", "loss": "infonce", "filter": "known_positives"}
    changes = []
    for group, name in left.items():
        changes += [f"{group}=[{name}]", *(f"~{group}.{key}" for key in cfg[group] if key != name)]
    if "infonce" not in cfg["loss"] or cfg["loss"]["infonce"]["temperature"] == 1:  # of sums, not of cosines
        changes.append("loss.infonce.temperature=0.02" if cfg["encoder"]["normalize"] else "loss.infonce.temperature=1")
    changes += words_off("teacher", words, composed)
    if (cfg["negatives"].get("in_batch") or {}).get("teacher"):
        changes += ["negatives.in_batch.teacher=null"]
    if cfg.get("batches"):
        changes += ["batches.clusters=null"]
    return changes


def composed(words: list[str]) -> dict[str, Any]:
    """Return the config of a run, unresolved."""
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        plain: Any = OmegaConf.to_container(compose("train", words, return_hydra_config=False), resolve=False)
    return plain


def line(command: str, words: list[str], folder: str) -> None:
    """Print where a command runs, and the command."""
    print(folder, shlex.join([command, *words, f"hydra.run.dir={folder}"]))


if __name__ == "__main__":
    main()
