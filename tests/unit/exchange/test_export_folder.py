"""The folder of an export holds one export or the other, whenever the one that replaces it is stopped."""

from __future__ import annotations

import os
import shutil

import pytest

from hardneg.encoders.sentence_transformers_names import MODULES
from hardneg.exchange.export_folder import export_folder


def export(folder, text):
    with export_folder(folder, force=True) as unfinished:
        (unfinished / MODULES).write_text(text)
        (unfinished / "weights").write_text(text)


@pytest.mark.parametrize(("place", "name", "kept"), [(shutil, "rmtree", "new"), (os, "replace", "old")])
def test_stopped_while_it_takes_the_place_of_another(tmp_path, monkeypatch, place, name, kept):
    folder, done = tmp_path / "my-encoder", getattr(place, name)
    export(folder, "old")

    def stopped(path, *rest, **how):
        if (path / MODULES).is_file():  # an export, old or new
            if name == "rmtree":
                (path / MODULES).unlink()
            raise KeyboardInterrupt
        return done(path, *rest, **how)

    with monkeypatch.context() as within, pytest.raises(KeyboardInterrupt):
        within.setattr(place, name, stopped)
        export(folder, "new")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {MODULES: kept, "weights": kept}
    export(folder, "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["my-encoder"] and (folder / MODULES).read_text() == "newer"


def test_killed_between_two_renames_the_earlier_export_comes_back(tmp_path):
    folder = tmp_path / "my-encoder"
    export(folder, "old")
    folder.rename(tmp_path / ".my-encoder.before")
    with pytest.raises(ZeroDivisionError), export_folder(folder, force=True):
        raise ZeroDivisionError
    assert (folder / MODULES).read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["my-encoder"]
