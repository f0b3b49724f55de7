"""Every recipe of conf/experiment trains some steps on the toy world, with its models, lengths and batch made tiny."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from confs import CONF, compose, names
from decoders import save_decoder
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from run_folders import last

from hardneg.commands import train, train_teacher
from hardneg.config import classes
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.stages.recipe import LIST, read_list

RECIPES = [name for name in names("experiment") if name not in ("mix", "quickstart")]
STAGED = sorted(path.parent.name for path in CONF.glob(f"experiment/*/{LIST}"))
SMALL = [name for name in RECIPES if name.endswith("_small")]
STEPS = 4  # three an epoch

TINY = {
    "data": {"docs": 120, "queries": 60, "names": 12, "attributes": 6, "false_negative_rate": 0.2},
    "batch_size": 12,
    "split": {"test": None},
    "evaluate": {"before": False, "depth": 10, "metrics": ["ndcg@10"]},
    "logger": None,
    "trainer": {
        **{"max_epochs": -1, "max_steps": STEPS, "accelerator": "cpu", "precision": "32-true"},
        "enable_progress_bar": False,
    },
}


@pytest.fixture(scope="module")
def decoder(toy, tmp_path_factory):
    words = {word for text in toy.corpus.texts.to_pylist() for word in text.split()}
    return save_decoder(tmp_path_factory.mktemp("decoder"), sorted(words), "mistral")


@pytest.fixture(scope="module")
def scorer(bert, tmp_path_factory):
    """A cross-encoder, as what has no classifier is no teacher."""
    CrossEncoder.load(str(bert), 24).save(folder := tmp_path_factory.mktemp("scorer"))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def shrink(node: Any, bert, decoder, scorer) -> None:
    """Give every encoder in a config a tiny model, short texts and widths that the model has."""
    if isinstance(node, dict):
        if isinstance(node.get("model"), str | None) and "model" in node:
            encoder = decoder if node.get("append_eos") or node.get("bidirectional") else bert
            node["model"] = str(scorer if str(node.get("_target_")).endswith("CrossEncoderTeacher") else encoder)
        if isinstance(node.get("max_length"), int):
            node["max_length"] = min(node["max_length"], 24)
        if node.get("matryoshka"):
            node["matryoshka"] = [8]
        for inner in node.values():
            shrink(inner, bert, decoder, scorer)
    elif isinstance(node, list):
        for inner in node:
            shrink(inner, bert, decoder, scorer)


@pytest.fixture
def run(bert, decoder, scorer, cache, tmp_path, monkeypatch):
    """Train an experiment, made tiny, in tmp_path/FOLDER; returns its summary."""

    # Nobody looks at it, and drawing takes longer than training.
    monkeypatch.setattr("hardneg.training.final_test.figure.draw", lambda *_: None)

    def train_tiny(experiment, folder, command="train"):
        cfg = compose(f"experiment={experiment}", "data=toy", f"stages={tmp_path}", name=command.replace("-", "_"))
        given = users(cfg)
        references = {key: value for key, value in found(classes.plain(OmegaConf.merge(cfg, given))) if "/" in value}
        node: Any = classes.plain(OmegaConf.merge(cfg, given, TINY, {"cache": str(cache)}))
        shrink(node, bert, decoder, scorer)
        if (node.get("encoder") or {}).get("lr") == "auto":  # what refers to it is a word by now
            node["encoder"]["lr"] = node["optimizer"]["lr"] = 0.01
        for path, value in references.items():
            if value.startswith(str(tmp_path)):
                place = node
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = value
        if command == "train":
            node["evaluate"]["bm25"] = None
        (tmp_path / folder).mkdir()
        words = SimpleNamespace(task=[], hydra=[])
        hydra = SimpleNamespace(runtime=SimpleNamespace(output_dir=str(tmp_path / folder)), overrides=words)
        monkeypatch.setattr(HydraConfig, "get", lambda: hydra)
        entry = {"train": train.train, "train-teacher": train_teacher.train_teacher}[command]
        entry(OmegaConf.create(node))
        return json.loads((tmp_path / folder / "summary.json").read_text())

    return train_tiny


def found(node, path=()):
    """The strings in a plain config, with the keys that lead to them."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from found(value, (*path, key))
    elif isinstance(node, str):
        yield path, node


def users(cfg):
    """What only the user can give: a teacher, where a recipe names none; a limit for a judge of four steps; topics."""
    missing = OmegaConf.is_missing(cfg.get("teacher") or OmegaConf.create(), "model")
    given = {"teacher": {"model": "given by the user"}} if missing else {}
    if cfg.get("batches"):  # as many topics as a small set has
        given |= {"batches": {"clusters": 3}}
    return given | ({"pairs": {"consistency": {"top": 100}}} if cfg.get("pairs") else {})


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains(name, run, tmp_path):
    summary = run(name, "run")
    assert summary["steps"] == STEPS
    state = last(tmp_path / "run")
    assert all(value.isfinite().all() for value in state["state_dict"].values() if value.is_floating_point())


@pytest.mark.parametrize("name", STAGED)
def test_a_recipe_in_stages_trains_stage_by_stage(name, run, tmp_path):
    for stage, command in read_list(CONF / "experiment" / name / LIST).items():
        assert run(f"{name}/{stage}", stage, command)["steps"] == STEPS
        assert (tmp_path / stage / "teacher").exists() == (command == "train-teacher")
