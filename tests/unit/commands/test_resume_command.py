"""What goes on with a run is the run as it was begun, whatever the defaults have become."""

from __future__ import annotations

import pytest

from hardneg.commands.resume import command_of


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder that Hydra has written; the working directory is set back."""
    monkeypatch.chdir(tmp_path)
    hydra = tmp_path / "run" / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "overrides.yaml").write_text("- data=toy\n- seed=2\n")
    (hydra / "config.yaml").write_text("batch_size: 64\nseed: 2\n")
    (hydra / "hydra.yaml").write_text(
        f"hydra:\n  job: {{config_name: train}}\n  runtime: {{cwd: {tmp_path}, config_sources: []}}\n"
    )
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    return tmp_path / "run"


def test_a_default_that_has_changed_is_kept_as_the_run_had_it(run):
    command, words = command_of([str(run)])
    assert command == "train" and words[:3] == ["data=toy", "seed=2", "batch_size=64"]


def test_a_rate_that_was_a_number_once_or_was_found_stays_that_number(run):
    (run / ".hydra" / "config.yaml").write_text("batch_size: 64\nencoder: {lr: 0.01}\n")
    assert command_of([str(run)])[1][2:4] == ["batch_size=64", "encoder.lr=0.01"]
    (run / ".hydra" / "config.yaml").write_text("batch_size: 64\nencoder: {lr: auto}\n")
    assert not [word for word in command_of([str(run)])[1] if word.startswith("encoder.lr")]


def test_as_many_random_negatives_as_the_run_began_with(run):
    (run / ".hydra" / "config.yaml").write_text("batch_size: 64\nnegatives: {random: {k: 4}}\n")
    assert command_of([str(run)])[1][2:4] == ["batch_size=64", "negatives.random.k=4"]


def test_what_was_given_is_given_again_alone(run):
    (run / ".hydra" / "overrides.yaml").write_text("- data=toy\n- batch_size=8\n")
    assert [word for word in command_of([str(run)])[1] if word.startswith("batch_size=")] == ["batch_size=8"]


def test_a_number_that_was_never_found_is_found_then(run):
    (run / ".hydra" / "config.yaml").write_text("batch_size: auto\n")
    assert command_of([str(run)])[1][:2] == ["data=toy", "seed=2"]


def test_a_run_without_a_checkpoint_begins_anew_and_finds_its_batch_anew(run):
    (run / "checkpoints" / "last.ckpt").unlink()
    assert command_of([str(run)])[1][:2] == ["data=toy", "seed=2"]
    assert not [word for word in command_of([str(run)])[1] if word.startswith(("batch_size=", "ckpt_path="))]
