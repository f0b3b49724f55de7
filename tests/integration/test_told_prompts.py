"""The prompt that data have for their queries is told once, of the run's own model."""

from __future__ import annotations

import json

DATA = ["data=table", "data.path=pairs.jsonl", "data.dev_share=0.2", "data.test_share=0.2"]
SMALL = [*DATA, "encoder=static", "encoder.dim=8", "trainer.max_epochs=1", "batch_size=8", "logger=csv"]
TOLD = "the data's prompt 'ask: ' precedes every query"


def test_it_is_told_once_also_beside_a_miner(hardneg, toy, tmp_path):
    train = toy.qrels["train"].relevant
    pairs = zip(toy.queries.take(train.queries), toy.corpus.take(train.docs), strict=True)
    rows = [json.dumps({"question": query, "answer": text, "prompt": "ask: "}) for query, text in pairs]
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows), encoding="utf-8")
    assert hardneg("train", *SMALL, "hydra.run.dir=first").stderr.count(TOLD) == 1
    checkpoint = "first/checkpoints/last.ckpt"
    miner = ["negatives=[in_batch,mined]", f"negatives.mined.miner.ckpt_path={checkpoint}", "negatives.mined.k=1"]
    assert hardneg("train", *SMALL, *miner, "hydra.run.dir=second").stderr.count(TOLD) == 1
    (tmp_path / "other.jsonl").write_text("\n".join(rows[:40]).replace("ask: ", "say: "), encoding="utf-8")
    also = "evaluate.also={other: {path: other.jsonl, test_share: 0.5}}"
    told = hardneg("evaluate", *DATA, f"ckpt_path={checkpoint}", also).stderr
    assert told.count(TOLD) == 1 and told.count(TOLD.replace("ask: ", "say: ")) == 1
    mined = hardneg("mine", *DATA, "negatives=mined", f"ckpt_path={checkpoint}", "negatives.mined.depth=5").stderr
    assert mined.count(TOLD) == 1, "lists depend on it"
    own = ["negatives=mined", f"negatives.mined.miner.ckpt_path={checkpoint}", "negatives.mined.depth=5"]
    assert hardneg("mine", *DATA, *own).stderr.count(TOLD) == 1, "also on those of a checkpoint of the miner's own"
