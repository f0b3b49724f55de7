"""Packages of one's own, installed under the entry point `hardneg.studies`, join with classes and yamls."""

from __future__ import annotations

import sys

import pytest
from hydra import compose, initialize_config_module
from installed import install, on_the_path

from hardneg.config import classes, composition, studies
from hardneg.errors import ConfigError


@pytest.fixture
def study(tmp_path):
    """Make a package with these yamls and this code, and install it."""
    with on_the_path(tmp_path / "site"):

        def make(name, yamls, code=""):
            folder = tmp_path / "site" / name
            folder.mkdir(parents=True)
            for option, body in yamls.items():
                path = folder / "conf" / f"{option}.yaml"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body)
            (folder / "__init__.py").write_text(code)
            install(tmp_path / "site", name)
            return folder

        yield make


def composed(*words):
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        return compose("train", overrides=list(words))


YAML = "# @package loss.{0}\n_target_: {1}.Ours\nweight: 2.0\n"
SOURCE = "from hardneg.losses.infonce import InfoNCE as Ours\n"


def test_its_yamls_are_found_and_its_classes_allowed(study):
    study("study_a", {"loss/ours": YAML.format("ours", "study_a")}, SOURCE)
    cfg = composed("loss=[infonce,ours]")
    assert list(cfg.loss) == ["infonce", "ours"]
    assert classes.build_group(cfg.loss, "loss")["ours"].weight == 2.0


def test_composing_does_not_run_the_package(study):
    study("study_b", {"loss/ours": YAML.format("ours", "study_b")}, "raise RuntimeError('imported')\n")
    composed("loss=[ours]")
    assert "study_b" not in sys.modules


def test_what_is_not_installed_stays_refused(study):
    study("study_c", {})
    with pytest.raises(ConfigError, match="not allowed"):
        classes.check_allowed("loss.x", {"_target_": "study_cc.Loss"})


def test_an_option_that_two_have_is_told_with_both(study):
    study("study_d", {"loss/same": YAML.format("same", "study_d")})
    study("study_e", {"loss/same": YAML.format("same", "study_e")})
    with pytest.raises(ConfigError, match=r"loss/same\.yaml is both in study_d and in study_e"):
        composed("loss=[same]")


def test_an_option_of_hardnegs_own_is_not_replaced(study):
    study("study_f", {"loss/infonce": YAML.format("infonce", "study_f")})
    with pytest.raises(ConfigError, match=r"loss/infonce\.yaml is both in hardneg and in study_f"):
        composed("data=toy")


def test_a_package_whose_folder_is_gone_is_told(study):
    (study("study_g", {}) / "__init__.py").unlink()
    with pytest.raises(ConfigError, match=r"study_g.*is not where it was"):
        studies.conf_folders()


def test_other_hydra_apps_are_left_alone(study):
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

    from hydra_plugins.hardneg import Studies

    study("study_h", {"loss/ours": YAML.format("ours", "study_h")})
    path = ConfigSearchPathImpl()
    path.append("main", "pkg://other.conf")
    Studies().manipulate_search_path(path)
    assert len(path.get_path()) == 1
