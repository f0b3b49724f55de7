"""hardneg index, check and search as a user types them, and a build that is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import patience

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run on the toy world."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def ckpt(run, hardneg, small):
    """Its best checkpoint; trained once for all tests here."""
    path = run / "checkpoints" / "best.ckpt"
    if not path.exists():
        hardneg("train", *small, "trainer.max_epochs=1", "logger=csv", "evaluate.before=false", f"hydra.run.dir={run}")
    return path


def test_from_a_run_to_answers(hardneg, ckpt, small, tmp_path):
    said = hardneg("index", f"ckpt_path={ckpt}", "data=toy", "index.path=i", "shard=500").stderr
    assert "2,000 documents: 2,000 to embed, about" in said and "fresh: build" in said
    assert (
        "2,000 documents: 2,000"
        not in hardneg("index", f"ckpt_path={ckpt}", "data=toy", "index.path=i", "shard=500").stderr
    )

    found = hardneg("search", "i", "who is it", "and where", "-k", "3").stdout
    assert "who is it" in found and "and where" in found and found.count("fresh: build") == 2
    assert len(re.findall(r"^   [123]  -?[01]\.\d{4}  d\d+ +\w", found, flags=re.MULTILINE)) == 6
    assert "fresh: build" in hardneg("check", "i").stdout

    assert "sample=0 must be 1" in hardneg("check", "i", "sample=0", code=2).stderr

    # the live corpus moves on: said with its mend, which embeds what is new only
    said = hardneg("check", "i", "data=toy", "data.seed=5", code=1).stdout
    assert "2,000 documents of the corpus" in said
    assert f"hardneg index ckpt_path={ckpt.resolve()} data=toy data.seed=5 " in said, "its words"
    facts = json.loads(next(Path("outputs").glob("*_check/freshness.json")).read_text())
    assert {finding["about"] for finding in facts["findings"]} >= {"model", "canaries", "vectors", "files", "corpus"}


def test_a_deleted_document_is_found_and_leaves_though_it_is_judged(hardneg, ckpt, tmp_path):
    """Queries and judgements of a living corpus are older than it."""
    folder = tmp_path / "faq"
    (folder / "qrels").mkdir(parents=True)
    documents = [json.dumps({"_id": f"d{row}", "text": f"how to do number {row}"}) + "\n" for row in range(6)]
    (folder / "corpus.jsonl").write_text("".join(documents))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q0", "text": "do it"}) + "\n")
    (folder / "qrels" / "test.tsv").write_text("q0\td0\t1\n")
    words = ("index", f"ckpt_path={ckpt}", "data=beir", f"data.path={folder}", "index.path=i")
    hardneg(*words)
    (folder / "corpus.jsonl").write_text("".join(documents[1:]))
    assert "1 deleted" in hardneg("check", "i", code=1).stdout
    assert "0 embedded now" in hardneg(*words).stderr
    assert "fresh: build" in hardneg("check", "i").stdout
    hardneg(*words, "-m")  # a sweep reads its data before the first job
    assert " d0 " not in hardneg("search", "i", "how to do number 0").stdout


def test_another_model_goes_live_and_back(hardneg, ckpt, small, tmp_path):
    hardneg("index", f"ckpt_path={ckpt}", "data=toy", "index.path=i")
    other = tmp_path / "b" / "checkpoints" / "best.ckpt"
    hardneg("train", *small, "seed=2", "trainer.max_epochs=1", "logger=csv", "evaluate.before=false",
            f"hydra.run.dir={tmp_path}/b")  # fmt: skip
    said = hardneg("search", "i", "x", "--ckpt-path", str(other), code=2).stderr
    assert "STALE" in said and "the weights (" in said and "To repair it: hardneg index ckpt_path=" in said
    assert "STALE" in hardneg("search", "i", "x", "--ckpt-path", str(other), "--allow-stale").stdout
    assert "STALE" in hardneg("check", "i", f"ckpt_path={other}", code=1).stdout

    said = hardneg("index", f"ckpt_path={other}", "data=toy", "index=faiss_hnsw", "index.path=i", "switch=false").stderr
    beside = said.split("hardneg index switch i ")[1].split()[0]
    assert len(hardneg("index", "list", "i").stdout.splitlines()) == 2
    assert beside not in hardneg("search", "i", "x").stdout
    hardneg("index", "switch", "i", beside[:6])
    assert beside in hardneg("search", "i", "x").stdout
    assert beside not in hardneg("index", "rollback", "i").stdout
    assert beside not in hardneg("search", "i", "x", "--ckpt-path", str(ckpt)).stdout
    assert "holds no complete index" in hardneg("index", "rollback", "typo", code=2).stderr
    assert not Path("typo").exists()
    assert "nothing to roll back to" in hardneg("index", "rollback", "i", code=2).stderr


def test_a_killed_process_goes_on(hardneg, ckpt, environment, tmp_path):
    """kill -9 in the middle of the embedding; what was embedded is not embedded again."""
    words = ["index", f"ckpt_path={ckpt}", "data=toy", "index.path=i", "shard=20"]
    process = subprocess.Popen([sys.executable, "-m", "hardneg.cli", *words], stderr=subprocess.DEVNULL)
    cards, until = Path("i/shards"), time.monotonic() + patience(120)
    while len(list(cards.glob("*/card.json"))) < 5 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert "has no live index" in hardneg("search", "i", "x", code=2).stderr
    said = hardneg(*words).stderr
    todo = int(said.split("2,000 documents: ")[1].split(" to embed")[0].replace(",", ""))
    assert 0 < todo <= 1940
    hardneg("index", f"ckpt_path={ckpt}", "data=toy", "index.path=j", "shard=20")
    one, other = ({p.name: (p / "vectors.npy").read_bytes() for p in Path(f"{name}/shards").iterdir() if p.is_dir()}
                  for name in "ij")  # fmt: skip
    assert one == other and len(one) == 100
