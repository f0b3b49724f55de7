"""What makes the tests' configs quick to compose changes none of them."""

from __future__ import annotations

import copy
import resource

import confs
import hydra
import quick
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from hardneg.config import composition

COMMANDS = ("train_teacher", "mine", "index")
WORDS = [
    ["seed=3", "data=toy"],
    ["negatives=[bm25,mined]", "negatives.bm25.k=2", "+teacher@negatives.mined.teacher=bi_encoder"],
    ["negatives=[bm25,mined]", "negatives.bm25.k=9", "+teacher@negatives.mined.teacher=bi_encoder"],
    ["negatives=[mined,bm25]"],
    ["data=mix", "+data@data.sets.code=pydocs", "+data@data.sets.world=toy"],
    ["strategy=easy_to_hard", "curriculum.share.random=[2,0,0]", "callbacks=[ema]"],
    ["experiment=f2llm_v2_small", "hydra/sweeper=race", "race=static"],
    ["~logger", "~filter.known_positives", "+callbacks.other={_target_: x}"],
    ["experiment=nothing"],
    ["loss.nothing=3"],
    ["~loss.nothing"],
]


def composed(words, name="train"):
    """The config with Hydra's own part, or what is wrong with the words."""
    with initialize_config_dir(str(confs.CONF), version_base="1.3"):
        try:
            cfg = hydra.compose(name, list(words), return_hydra_config=True)
        except hydra.errors.HydraException as error:
            return repr(error)
    return described(cfg)


def described(cfg):
    flags = [node._metadata.flags for node in (cfg, cfg.hydra, cfg.hydra.runtime)]
    return OmegaConf.to_yaml(cfg), flags


def test_a_config_is_what_hydra_itself_composes(monkeypatch):
    """Also the second time, and after words that come to the same yamls."""
    composition.register_resolvers()
    cases = [(words, "train") for words in WORDS] + [([], name) for name in COMMANDS]
    ours = [composed(*case) for case in cases * 2]
    for place, name in quick.places():
        monkeypatch.setattr(place, name, getattr(place, name).__wrapped__)
    assert ours == [composed(*case) for case in cases] * 2


def test_a_choice_may_be_that_of_another_group(tmp_path):
    """Ours are not, which leaves out what Hydra needs for it; those of a user may be."""
    for path, text in {
        "main": "defaults: [size: small, dim: '${size}']",
        **{f"{group}/{name}": f"is: {group} {name}" for group in ("size", "dim") for name in ("small", "large")},
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / f"{path}.yaml").write_text(text)
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        for word, name in (([], "small"), (["size=large"], "large")):
            assert hydra.compose("main", word) == {"size": {"is": f"size {name}"}, "dim": {"is": f"dim {name}"}}


def test_a_call_in_a_loop_is_quick_at_any_depth():
    """No memory is mapped for its frame, as Python itself does for each call at a few depths."""

    def called():
        pass

    def faults_at(depth):
        if depth:
            return faults_at(depth - 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(1000):
            called()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    called.__code__ = called.__code__.replace(co_stacksize=100)  # no frame of the others leaves out a place for it
    assert max(map(faults_at, range(400))) < 500


def test_a_copy_of_a_config_is_what_omegaconf_itself_copies():
    """Hydra's own part too, whose nodes are of classes, and which reads the rest."""
    composition.register_resolvers()
    with initialize_config_dir(str(confs.CONF), version_base="1.3"):
        cfg = hydra.compose("train", ["hydra/launcher=processes"], return_hydra_config=True)
    ours, theirs = copy.deepcopy(cfg), DictConfig.__deepcopy__.__wrapped__(cfg, {})
    assert described(ours) == described(theirs) == described(cfg)
    assert [OmegaConf.get_type(one.hydra.runtime) for one in (ours, theirs)] == [
        OmegaConf.get_type(cfg.hydra.runtime)
    ] * 2
    ours.hydra.job.name, ours.seed = "another", 5
    assert described(theirs) == described(cfg) and ours.hydra._get_parent() is ours
