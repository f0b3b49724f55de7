"""The page that sets the recipes side by side says what their yamls say, and small ones change nothing but sizes."""

from __future__ import annotations

import re
import shlex

import pytest
import recipe_page
import yaml
from confs import CONF, compose, names
from hydra import initialize_config_dir

from hardneg.commands.stages import plan_of
from hardneg.config import classes, composition
from hardneg.preflight.config import check_config
from hardneg.stages.check_stages import check
from hardneg.stages.recipe import LIST, read_list

SMALL = {name: "train" for name in names("experiment") if name.endswith("_small")}
for listed in sorted(CONF.glob(f"experiment/*_small/{LIST}")):
    SMALL |= {f"{listed.parent.name}/{stage}": command for stage, command in read_list(listed).items()}


def counterpart(small):
    """The recipe that a small one is of, by its defaults; None for a stage that makes what the recipe is given."""
    first = yaml.safe_load((CONF / "experiment" / f"{small}.yaml").read_text())["defaults"][0]
    return first.removeprefix("/experiment/") if isinstance(first, str) else None


OF_A_RECIPE = {name: recipe for name in SMALL if (recipe := counterpart(name)) is not None}

# What makes a recipe small: the model, its texts and widths, who mines and teaches, how many, how long.
SIZES = re.compile(
    r"encoder\.(model|layers|pooling|bidirectional|append_eos|dtype|gradient_checkpointing|grad_cache|momentum|matryoshka"
    r"|latents\.count|max_length|(query|document)\.max_length)|batch_size|optimizer\.lr|encoder\.lr"
    r"|schedule\.(warmup|decay)_steps|evaluate\.(before|depth)|trainer\.(max_(epochs|steps)|accumulate_grad_batches)|curriculum\.at|remine\.every_n_steps"
    r"|negatives\.\w+\.(k|depth|size|miner\..*|teacher\..*)|pairs\.consistency\.sample|filter\.score_window\.high|teacher\..*|batches\..*"
)


def flat(node, path=""):
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, node


def test_the_page_is_what_the_yamls_say():
    page = recipe_page.PAGE.read_text(encoding="utf-8")
    assert page == recipe_page.page(), "run: python tests/contracts/recipe_page.py"


@pytest.mark.parametrize("line", re.findall(r"^hardneg .*", recipe_page.PAGE.read_text(), flags=re.MULTILINE))
def test_the_commands_of_the_page_can_run(line, monkeypatch):
    monkeypatch.setattr("hardneg.stages.check_stages.check_machine", lambda cfg: None)  # models of the hub
    command, *words = shlex.split(line, comments=True)[1:]
    if command == "stages":
        return check(plan_of(words))
    composition.register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        check_config(composition.compose(command, words))


@pytest.mark.parametrize("name", recipe_page.recipes())
def test_a_recipe_names_its_source(name):
    assert re.search(r"^# source: \S", (CONF / "experiment" / f"{name}.yaml").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(("name", "full"), OF_A_RECIPE.items())
def test_a_small_recipe_changes_sizes_only(name, full):
    given = ["teacher.model=x"] if full in ("e5", "e5_weak/3_finetuned", "tasb") else []
    command = SMALL[name].replace("-", "_")
    large, small = (
        dict(flat(classes.plain(compose(f"experiment={one}", "stages=x", *more, name=command))))
        for one, more in ((full, given), (name, []))
    )
    changed = {key for key in large.keys() | small.keys() if large.get(key) != small.get(key)}
    # From the model that an earlier stage made, not from the hub's.
    changed -= {"init_from"} if str(small.get("init_from")).startswith("x/") else set()
    # What is made for a later stage is chosen by dev, also where the recipe that it is of has none.
    changed -= {"split.dev", "split.test"} if full.split("/")[0] != name.split("/")[0].removesuffix("_small") else set()
    assert not {key for key in changed if not SIZES.fullmatch(key)}


def test_a_small_recipe_has_the_stages_of_its_model():
    for listed in CONF.glob(f"experiment/*_small/{LIST}"):
        whole, stages = listed.parent.name.removesuffix("_small"), read_list(listed)
        of = [OF_A_RECIPE.get(f"{listed.parent.name}/{stage}") for stage in stages]
        if (CONF / "experiment" / whole / LIST).exists():
            assert list(stages.items()) == list(read_list(CONF / "experiment" / whole / LIST).items())
            assert of == [f"{whole}/{stage}" for stage in stages]
        else:  # a recipe in one: its stages make what the large one is given, and end with it
            assert of[-1] == whole


def test_a_small_recipe_in_one_is_of_its_name():
    assert not [name for name in SMALL if "/" not in name and OF_A_RECIPE[name] != name.removesuffix("_small")]
