"""conf/: every file composes and can run, says what it is, and shows all keys of what it makes."""

from __future__ import annotations

import inspect
import re

import confs
import hydra
import pytest
from confs import CONF, compose, names
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from hardneg.config import classes, composition
from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config
from hardneg.race.portfolio import RaceSettings

pytestmark = pytest.mark.usefixtures("nothing_is_loaded")

FILL = {"data.path": "somewhere", "data.repo": "owner/name", "data.id": "some/set"}
FILL |= {"teacher.path": __file__}
FILL |= {"optimizer._target_": "torch.optim.SGD"}
FILL |= {"schedule.scheduler._target_": "torch.optim.lr_scheduler.CosineAnnealingLR"}
FILL |= {"index.path": "somewhere", "ckpt_path": __file__}
FILL |= {"encoder.model": "owner/name", "teacher.model": "owner/name", "teacher.style": "qwen3"}


TEACHER = ["negatives=[in_batch,bm25]", "negatives.bm25.teacher={_target_: newcomers.GoodTeacher}"]


# What options need beside themselves, by the option, or by its group and "=".
NEEDS = {
    **dict.fromkeys(("filter=teacher_score", "loss=kl", "loss=m3_kd", "loss=margin_mse", "loss=cosent"), TEACHER),
    "loss=embed_distill": ["+encoder@loss.embed_distill.teacher.encoder=minilm"],
    "filter=guide": ["+encoder@filter.guide.encoder=minilm"],
    "batches=topics": ["+encoder@batches.encoder=minilm"],
    "loss=gor": ["loss=[infonce,gor]"],
    "teacher=": ["negatives=[bm25]"],
    "teacher=bi_encoder": ["+encoder@teacher.encoder=minilm"],
    "curriculum=": ["negatives=[in_batch,random,bm25,mined]"],
    "curriculum=custom": ["+curriculum.share.bm25=[0,1]"],
    "data=mix": ["+data@data.sets.world=toy", "+data@data.sets.code=pydocs"],
    "pairs=consistency": ["+encoder@pairs.consistency.encoder=minilm"],
    "pairs=score": ["+encoder@pairs.score.encoder=minilm"],
    "race=": ["hydra/sweeper=race"],
}


def filled(*overrides, name="train"):
    """Compose, with values for what only the user can know."""
    if any(override.startswith("index=") for override in overrides):
        name = "index"
    groups = [override.split("=")[0] + "=" for override in overrides]
    more = [word for key in (*groups, *overrides) for word in NEEDS.get(key, ())]
    missing = composition.missing_keys(compose(*overrides, *more, name=name))
    return compose(*overrides, *more, *(f"{key}={FILL[key]}" for key in missing), name=name)


CHOICES = [
    f"{folder.relative_to(CONF)}={name}"
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir() and path.name not in ("hydra", "__pycache__"))
    for name in names(folder.name)
]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_option_composes_and_can_run(choice):
    try:
        check_config(filled(choice))
    except ConfigError as error:
        if "pip install 'hardneg[" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "choice", [choice for choice in CHOICES if choice.split("=")[0] in ("search", "encoder", "teacher")]
)
def test_mine_takes_the_same_groups(choice):
    check_config(filled(choice, name="mine"))


def test_another_encoder_can_be_the_miner():
    cfg = compose("negatives=[mined]", "+encoder@negatives.mined.miner.encoder=minilm")
    check_config(cfg)
    assert not classes.build_group(cfg.negatives, "negatives")["mined"].follows_model


def test_evaluate_can_run(tmp_path):
    with pytest.raises(ConfigError, match="no value for ckpt_path; give it on the command line, as ckpt_path=VALUE"):
        check_config(compose(name="evaluate"))
    with pytest.raises(ConfigError, match="ckpt_path=x: there is no such file"):
        check_config(compose("ckpt_path=x", name="evaluate"))
    (tmp_path / "last.ckpt").touch()
    check_config(compose(f"ckpt_path={tmp_path}/last.ckpt", name="evaluate"))


def test_index_and_check_can_run():
    given = [f"ckpt_path={__file__}", "index.path=x"]
    check_config(compose(*given, "data=toy", "width=64", name="index"))
    check_config(compose("path=x", name="check"))
    check_config(compose("path=x", "data=toy", "sample=3", name="check"))
    for overrides, name, says in (
        (["index.path=x"], "index", "no value for ckpt_path"),
        (given[:1], "index", "no value for index.path"),
        (["ckpt_path=x", "index.path=x"], "index", "ckpt_path=x: there is no such file"),
        ([given[0], "index.path=''"], "index", "index.path is empty"),
        ([*given, "+index.nprob=3"], "index", "index.nprob is unknown"),
        ([*given, "+swich=true"], "index", "swich is not a key of hardneg index"),
        ([], "check", "no value for path"),
        (["path=x", "ckpt_path=x"], "check", "ckpt_path=x: there is no such file"),
    ):
        with pytest.raises(ConfigError, match=says):
            check_config(compose(*overrides, name=name))


@pytest.mark.parametrize("choice", CHOICES)
def test_every_yaml_of_ours_shows_all_that_its_class_takes(choice):
    group = choice.split("=")[0]
    if group in ("strategy", "experiment", "hparams_search", "race"):
        return
    node = classes.plain(filled(choice)[group])
    for path, inner in classes.targets(node, group):
        if inner["_target_"].startswith("hardneg.") and not inner.get("_partial_"):
            takes = inspect.signature(hydra.utils.get_object(inner["_target_"])).parameters
            assert not takes.keys() - inner.keys(), path


@pytest.mark.parametrize("name", names("race"))
def test_every_arm_of_a_race_can_run_with_the_encoders_that_it_is_for(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("train", ["hydra/sweeper=race", f"race={name}"], return_hydra_config=True)
        settings = RaceSettings(arms=OmegaConf.to_container(cfg.hydra.sweeper.arms), budget="1m")
        arms = settings.portfolio()
        assert next(iter(arms)) == settings.baseline, "from the simplest on"
    for words in arms.values():
        check_config(compose(*words, "trainer.max_steps=80", "trainer.max_epochs=-1"))


def test_an_option_of_a_group_says_in_its_file_what_it_is():
    for group in ("negatives", "filter", "data", "encoder", "experiment", "strategy", "trainer", "index", "race"):
        for name in names(group):
            assert "\n# " in "\n" + (CONF / group / f"{name}.yaml").read_text().replace("# @package", ""), (group, name)


def test_a_run_is_tested_as_evaluate_tests_it():
    trained, tested = (classes.plain(compose(name=name).evaluate) for name in ("train", "evaluate"))
    assert tested == {key: trained[key] for key in tested}


def test_the_baseline_is_the_bm25_that_mines():
    """Recall is compared with it, and one ranking in the cache serves both."""
    cfg = compose("negatives=[in_batch,bm25]")
    assert classes.build(cfg.evaluate.bm25).identity() == classes.build(cfg.negatives.bm25.miner).identity()


def test_all_yamls_lie_where_hydra_finds_them():
    assert not [path for path in CONF.rglob("*.yml")]


def test_names_come_from_the_keys_of_the_groups():
    cfg = compose("negatives=[in_batch,bm25]", "loss=triplet", "seed=3")
    assert cfg.run_name == "pydocs-in_batch+bm25-triplet-s3"  # two data sets in one sweep are told apart
    assert cfg.strategy_name == "in_batch+bm25"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["data=toy"], "toy"),
        (["data=beir", "data.path=/sets/sci.fact/"], "sci.fact"),
        (["data=beir", "data.path=/sets/scifact", "data.name=mine"], "mine"),
        (["data=jsonl", "data.path=pairs/all.jsonl.gz"], "all"),
        (["data=jsonl", "data.path=pairs/all.jsonl.bz2"], "all"),
        (["data=hub", "data.repo=BeIR/nq"], "BeIR_nq"),
        (["data=hub", "data.repo=mteb/miracl", "data.subset=de"], "mteb_miracl_de"),
        (["data=ir_datasets", "data.id=beir/scifact"], "beir_scifact"),
        (["data=collection", "data.path=/sets/mmarco", "data.language=german"], "mmarco_german"),
        (["data=mix", "+data@data.sets.a=toy", "+data@data.sets.b=pydocs"], "a+b"),
    ],
)
@pytest.mark.parametrize("command", ["train", "train_teacher"])
def test_runs_are_named_for_their_data(words, name, command):
    assert compose(*words, name=command).run_name.startswith(f"{name}-")


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("HARDNEG_CACHE", "/somewhere")
    assert confs.compose.__wrapped__().cache == "/somewhere"
    monkeypatch.delenv("HARDNEG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert confs.compose.__wrapped__().cache == "/elsewhere/hardneg"


@pytest.mark.parametrize("name", ["check", "evaluate", "index"])
def test_help_that_lists_the_data_by_hand_lists_all(name):
    (listed,) = re.findall(r"data \(([a-z_,\s]+)\)", (CONF / f"{name}.yaml").read_text())
    left_out = set() if name == "evaluate" else {"mix"}  # an index is of one set
    assert set(re.split(r",\s+", listed)) == {path.stem for path in (CONF / "data").glob("*.yaml")} - left_out
