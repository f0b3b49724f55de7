"""A study from hardneg new trains, and sweeps, from another folder than its own."""

from __future__ import annotations

import json
import shlex

from installed import install, on_the_path

from hardneg.commands import new


def test_a_study_trains_from_any_folder(tmp_path, hardneg):
    new.write(tmp_path / "fresh_study")
    site = tmp_path / "fresh_study" / "src"
    with on_the_path(site):
        install(site, "fresh_study")
        small = ["data.docs=120", "data.queries=60", "encoder.dim=16", "batch_size=12", "trainer.max_epochs=1"]
        place = ["logger=csv", "trainer.log_every_n_steps=1", f"hydra.run.dir={tmp_path / 'run'}"]
        hardneg("train", "experiment=fresh_study", "negatives=[in_batch,random,fresh_source]", *small, *place)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["test"]
    assert "negatives/fresh_source/" in (tmp_path / "run" / "metrics.csv").read_text()


def test_its_sweep_runs_with_and_without_the_source(tmp_path, hardneg):
    """As `make sweep` types it; the job without the source was refused, for settings of it in the experiment."""
    new.write(tmp_path / "second_study")
    site = tmp_path / "second_study" / "src"
    lines = (tmp_path / "second_study" / "Makefile").read_text().splitlines()
    (typed,) = (line for line in lines if "train -m" in line)
    words = [word for word in shlex.split(typed)[1:] if not word.startswith(("seed=", "hydra.sweep.dir="))]
    small = ["data.docs=120", "data.queries=60", "encoder.dim=16", "batch_size=12", "trainer.max_epochs=1"]
    with on_the_path(site):
        install(site, "second_study")
        hardneg(*words, *small, "logger=csv", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    tested = {json.loads(summary.read_text())["strategy"] for summary in tmp_path.glob("sweep/*/summary.json")}
    assert tested == {"in_batch", "in_batch+second_source"}
