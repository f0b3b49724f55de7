"""The page that sets the recipes side by side says what their yamls say, and small ones change nothing but sizes."""

from __future__ import annotations

import re
import shlex

import pytest
import recipe_page
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

# E5 is given its pre-trained model and its cross-encoder; its small form makes them.
MADE_HERE = {"e5_small/1_pretrained", "e5_small/2_teacher"}
COUNTERPART = {"e5_small/3_distilled": "e5"}

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


@pytest.mark.parametrize(("name", "command"), [item for item in SMALL.items() if item[0] not in MADE_HERE])
def test_a_small_recipe_changes_sizes_only(name, command):
    full = COUNTERPART.get(name, re.sub("_small", "", name))
    given = ["teacher.model=x"] if full in ("e5", "e5_weak/3_finetuned", "tasb") else []
    large, small = (
        dict(flat(classes.plain(compose(f"experiment={one}", "stages=x", *more, name=command.replace("-", "_")))))
        for one, more in ((full, given), (name, []))
    )
    changed = {key for key in large.keys() | small.keys() if large.get(key) != small.get(key)}
    changed -= {"init_from"} if name in COUNTERPART else set()  # from the model that was made, not from the hub's
    assert not {key for key in changed if not SIZES.fullmatch(key)}


def test_a_small_recipe_has_the_stages_of_its_model():
    for listed in CONF.glob(f"experiment/*_small/{LIST}"):
        whole = listed.parent.parent / listed.parent.name.removesuffix("_small") / LIST
        if whole.exists():
            assert list(read_list(listed).items()) == list(read_list(whole).items())
        else:  # a recipe in one: its stages make what the large one is given, and end with it
            (*made, last) = read_list(listed)
            assert {f"{listed.parent.name}/{stage}" for stage in made} <= MADE_HERE
            assert f"{listed.parent.name}/{last}" in COUNTERPART
