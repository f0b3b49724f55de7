"""The id of a run at a tracking service: there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardneg.runlog.run_id import read_id, write_id


def test_it_comes_back_and_none_is_none(tmp_path):
    file = tmp_path / "run" / "wandb_run_id"
    assert read_id(file) is None
    write_id(file, "abc")
    assert read_id(file) == "abc"
    file.write_text("")  # of a version that could be killed as it wrote
    assert read_id(file) is None


def test_a_kill_as_it_is_written_anew_leaves_the_one_before(tmp_path, monkeypatch):
    file = tmp_path / "wandb_run_id"
    write_id(file, "abc")
    written = Path.write_text

    def killed(path, text, **how):
        written(path, "", **how)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        write_id(file, "abc")
    assert read_id(file) == "abc"
