"""Runs that average their weights: what is evaluated, chosen, saved, resumed and tested is the average."""

from __future__ import annotations

import json

import pytest
from run_folders import column, end_state, same

LIGHTNINGS = "lightning.pytorch.callbacks"
SETTINGS = {
    "ema": ["callbacks=[ema]"],
    "ema_with_queue": ["callbacks=[ema]", "negatives=[in_batch,queue]", "negatives.queue.size=64"],
    "lightnings_ema": [f"+callbacks.other={{_target_: {LIGHTNINGS}.EMAWeightAveraging, decay: 0.8}}"],
    "mean_of_all_steps": [f"+callbacks.other={{_target_: {LIGHTNINGS}.WeightAveraging}}"],
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_is_evaluated_is_what_is_saved_and_tested(hardneg, small, tmp_path, setting):
    quick = ["trainer.max_epochs=2", "evaluate.before=false", "evaluate.bm25=null", "logger=csv"]
    hardneg("train", *small, *quick, *SETTINGS[setting], "hydra.run.dir=run")
    trained = json.loads((tmp_path / "run" / "summary.json").read_text())

    def evaluated(checkpoint, split):
        path = f"ckpt_path={tmp_path}/run/checkpoints/{checkpoint}.ckpt"
        hardneg("evaluate", "data=toy", path, f"split={split}", f"hydra.run.dir={checkpoint}-{split}")
        return json.loads((tmp_path / f"{checkpoint}-{split}" / "summary.json").read_text())["test"]["checkpoint"]

    history = {
        point["step"]: {k.removeprefix("val/"): v for k, v in point.items()} for point in trained["dev"]["history"]
    }
    best = max(history.values(), key=lambda point: point["ndcg@10"])
    assert trained["dev"]["best"] == best["ndcg@10"]
    for checkpoint, point in {"last": history[22], "best": best}.items():
        measured = evaluated(checkpoint, "dev")
        assert measured == pytest.approx({key: point[key] for key in measured}, abs=1e-9)
    assert evaluated("best", "test") == pytest.approx(trained["test"]["after"], abs=1e-9)
    assert dict(column(tmp_path / "run", "val/ndcg@10")).popitem()[1] == pytest.approx(history[22]["ndcg@10"], abs=1e-6)


def test_an_interrupted_average_goes_on_where_it_was(hardneg, small, tmp_path):
    arguments = [*small, *SETTINGS["ema_with_queue"], "trainer.max_epochs=2", "logger=csv", "evaluate.bm25=null"]
    hardneg("train", *arguments, "hydra.run.dir=whole")
    stop = "+callbacks.stop={_target_: interrupts.Interrupt, step: 15, signal_name: SIGTERM}"
    hardneg("train", *arguments, stop, "hydra.run.dir=cut", code=143)
    hardneg("resume", "cut")
    assert same(end_state(tmp_path / "whole"), end_state(tmp_path / "cut")) is None
    assert column(tmp_path / "whole", "val/ndcg@10") == column(tmp_path / "cut", "val/ndcg@10")
