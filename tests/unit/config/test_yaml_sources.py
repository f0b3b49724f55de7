from __future__ import annotations

import copy

import pytest
from hydra import compose, initialize_config_module
from hydra._internal.core_plugins import importlib_resources_config_source, structured_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigLoadError

from hardneg.config import composition, yaml_sources

OURS = (yaml_sources.StructuredConfigSource, yaml_sources.ImportlibResourcesConfigSource)


def test_of_two_sources_of_a_name_hydra_keeps_ours_which_it_is_told_of_first(monkeypatch):
    monkeypatch.setattr(SourcesRegistry.instance(), "types", {})
    yaml_sources.register()
    for theirs in (
        structured_config_source.StructuredConfigSource,
        importlib_resources_config_source.ImportlibResourcesConfigSource,
    ):
        SourcesRegistry.instance().register(theirs)
    assert tuple(SourcesRegistry.instance().types.values()) == OURS


def test_what_all_configs_share_is_not_copied_for_each():
    source = yaml_sources.StructuredConfigSource("schema", "structured://")
    assert copy.deepcopy([source])[0] is source


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "yamls_of_a_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "one.yaml").write_text("# @package here\na: [1]\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    yaml_sources._files.cache_clear()


def source(provider="main"):
    return yaml_sources.ImportlibResourcesConfigSource(provider, "pkg://yamls_of_a_package")


def test_a_yaml_is_parsed_once_and_each_gets_one_of_its_own(package, monkeypatch):
    first = source().load_config("one")
    first.config.a.append(2)
    first.header["package"] = "there"
    monkeypatch.setattr(importlib_resources_config_source.OmegaConf, "load", None)
    again = source("other").load_config("one")
    assert again.config == {"a": [1]} and again.header["package"] == "here"
    assert (first.provider, again.provider) == ("main", "other")


def test_a_yaml_that_has_changed_is_parsed_anew(package):
    source().load_config("one")
    (package / "one.yaml").write_text("a: [1, 2]\n")
    assert source().load_config("one").config == {"a": [1, 2]}


def test_a_yaml_that_is_not_there_is_said_by_hydra(package):
    with pytest.raises(ConfigLoadError, match=r"Config not found : two\.yaml"):
        source().load_config("two")


def test_two_compositions_in_a_row_are_alike_and_apart():
    composition.register_resolvers()
    with initialize_config_module("hardneg.conf", version_base="1.3"):
        one, other = (compose("train", ["data=toy", "negatives=[in_batch,bm25]"]) for _ in range(2))
    assert one == other
    one.negatives.bm25.k = 7
    assert other.negatives.bm25.k != 7
