"""The samples in docs/get_started.md: what these commands print today is of the same lines, whatever the numbers."""

from __future__ import annotations

import csv
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "get_started.md"
MOST = 80  # columns, within which the lines of a run's start stand


def samples() -> dict[str, str]:
    """What the page shows, by the command above it."""
    found = re.findall(r"```bash\n(hardneg [^\n]*)\n```\n+[^`]*?```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return {command.split("#")[0].strip(): text for command, text in found}


def shape(text: str) -> list[str]:
    """The lines without numbers, names of documents, folders, and what a table is drawn with."""
    lines = []
    for line in text.splitlines():
        line = re.sub(r"\S*/outputs/", "outputs/", line)
        line = re.sub(r"store [0-9a-f]+", "store 0", line)
        line = re.sub(r"[-+]?\d[\d,.:/]*%?", "0", line)
        line = " ".join(re.sub(r"[^\w\s,.;:()'=/+@%-]", " ", line).split())
        if line:
            lines.append(line)
    return lines


def pairs(path: Path, count: int = 400) -> None:
    """Questions and answers, of which a part is longer than an encoder reads."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["query", "document"])
        for n in range(count):
            rest = " ".join(f"word {n * k % 97}" for k in range(90 if n % 3 else 5))
            rows.writerow([f"what is item {n}", f"item {n} is thing {n} of {n % 7} {rest}"])


def test_a_run_prints_what_the_page_shows(hardneg, tmp_path):
    pairs(tmp_path / "pairs.csv", 3500)  # enough for the batch, and the steps, of the page
    (command,) = [command for command in samples() if command.startswith("hardneg train ")]
    said = hardneg(*command.split()[1:])
    told = [line for line in shape(said.stderr) + shape(said.stdout) if not line.startswith("ALARM")]  # of other data
    shown = shape(samples()[command])
    assert sorted(told) == sorted(shown)
    start = said.stderr[: said.stderr.index("epoch 1/")].splitlines()
    assert not [line for line in start if len(line) > MOST]
    kept = (tmp_path / command.split("hydra.run.dir=")[1] / "train.log").read_text("utf-8")
    assert all(
        text in kept for text in ("batch_size=auto takes it", "tokens each before", "W&B offline run", "backfill")
    )


def test_the_samples_of_an_index_and_a_search_are_of_the_code(hardneg, tmp_path, monkeypatch):
    pairs(tmp_path / "pairs.csv")
    run = "outputs/second"
    said = hardneg(
        "train", "data.path=pairs.csv", "encoder=static", "trainer.max_epochs=1", "logger=csv", f"hydra.run.dir={run}"
    )
    assert re.search(
        r"^auto: batch_size 32, .*; 32 is fewer than encoder.batch_size=256 for 3\d\d training", said.stderr, re.M
    )
    texts = re.findall(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    words = ["data=table", "data.path=pairs.csv", "index.path=my-index"]
    said = hardneg("index", f"ckpt_path={run}/checkpoints/best.ckpt", *words).stderr
    assert beginnings(texts[-2]) == beginnings(said)
    assert not [line for line in said.splitlines() if len(line) > MOST]
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, a terminal
    monkeypatch.setenv("COLUMNS", str(MOST))
    said = hardneg("search", "my-index", "split a path into a pair").stdout
    assert beginnings(texts[-1]) == beginnings(said) and not [line for line in said.splitlines() if len(line) > MOST]


def beginnings(text: str) -> list[str]:
    """The first words of each line: what is behind them are texts, and how fast this machine is."""
    return [re.sub(r"(\b0 D?0\b|:).*", "", re.sub(r"\bbuild \w+", "build", line)) for line in shape(text)]


def test_inspect_prints_what_the_page_shows(hardneg, tmp_path):
    pairs(tmp_path / "pairs.csv")
    (command,) = [command for command in samples() if command.startswith("hardneg inspect ")]
    said = hardneg(*command.split()[1:]).stdout
    headings = r"^(Splits|Queries that|Tokens of|BM25|Texts|Likely false negatives|Worth a look|Train on it)"
    shown = re.findall(headings, samples()[command], re.MULTILINE)
    assert len(shown) == 8 and re.findall(headings, said, re.MULTILINE) == shown
