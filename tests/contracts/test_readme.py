"""What README, guides and CONTRIBUTING tell people to type works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import confs
import pytest
from hydra import initialize_config_dir
from patience import patience

from hardneg.cli import COMMANDS
from hardneg.config import composition
from hardneg.data.readers.guess import with_kind
from hardneg.preflight.config import check_config
from hardneg.sweep import jobs
from hardneg.sweep.check_jobs import fixed

ROOT = Path(__file__).parents[2]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)


PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def lines(pages: Iterable[str] = PAGES) -> list[str]:
    """Every line of a shell that a page shows, whole, each once."""
    shown = [line for page in pages for block in blocks(page, "bash") for line in whole(block).splitlines()]
    return list(dict.fromkeys(line.split(" #")[0].strip() for line in shown if not line.startswith("#")))


def whole(block: str) -> str:
    return re.sub(r"\\\n\s*", "", block)


def commands(*names: str) -> list[str]:
    return [line for line in lines() if any(line.startswith(f"hardneg {name} ") for name in names)]


@pytest.mark.parametrize("line", commands("train", "train-teacher", "mine", "probe"))
def test_every_command_of_the_pages_passes_preflight(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "teacher" / "teacher").mkdir(parents=True)  # what train-teacher leaves
    (tmp_path / "outputs" / "RUN" / "checkpoints").mkdir(parents=True)
    (tmp_path / "outputs" / "RUN" / "checkpoints" / "best.ckpt").touch()
    (tmp_path / "pairs.csv").write_text("query,document\n")
    (tmp_path / "scores.tsv").write_text("query-id\tcorpus-id\tscore\n")
    (tmp_path / "faq.jsonl").write_text("{}\n")
    (tmp_path / "pairs.jsonl").write_text("{}\n")
    for folder in ("DIR", "NFCORPUS"):  # in BEIR layout
        (tmp_path / folder / "qrels").mkdir(parents=True)
        for name in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv"):
            (tmp_path / folder / name).touch()
    words = [word for word in with_kind(shlex.split(line)[2:])[0] if word != "-m" and not word.startswith("hydra.")]
    composition.register_resolvers()
    searched = any(word.startswith(("hydra/sweeper=", "hparams_search=")) for word in words)
    with initialize_config_dir(str(confs.CONF), version_base="1.3"):
        for job in jobs.expand(fixed(words) if searched else words):
            check_config(composition.compose(line.split()[1].replace("-", "_"), job))


def test_the_readme_shows_every_command_and_every_target_of_the_makefile_it_names():
    text = (ROOT / "README.md").read_text()
    pages = "\n".join((ROOT / page).read_text() for page in PAGES)
    assert not [command for command in COMMANDS if f"hardneg {command}" not in pages]
    assert len(text.encode()) < 9_000, "a front page is read in two minutes"
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"\bmake (\w+)", "\n".join(blocks("README.md", "bash")))) <= set(targets)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "conf/experiment/README.md", *PAGES[1:]])
def test_every_link_of_a_page_leads_somewhere(page):
    """Files, folders and headings within the repository; the web is not asked."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), f"{page}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", there.read_text(), flags=re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_every_guide_is_reached_from_the_front_page():
    text = (ROOT / "README.md").read_text()
    assert "(docs/guides)" in text
    index = (ROOT / "docs" / "guides" / "README.md").read_text()
    assert not [
        page.name for page in (ROOT / "docs" / "guides").glob("*.md") if f"({page.name})" not in index + "(README.md)"
    ]


def test_the_source_of_contributing_works_as_printed(tmp_path):
    (code,), (yaml,) = blocks("CONTRIBUTING.md", "python"), blocks("CONTRIBUTING.md", "yaml")
    (tmp_path / "popular.py").write_text(code)
    extra = tmp_path / "conf" / "negatives"
    extra.mkdir(parents=True)
    (extra / "popular.yaml").write_text(yaml.replace("hardneg.negatives.popular", "popular"))
    done = subprocess.run(
        [
            sys.executable, "-m", "hardneg.cli", "train", "--config-dir", str(tmp_path / "conf"), "data=toy",
            "negatives=[in_batch,popular]", "trainer.max_epochs=1", "logger=csv", "encoder.dim=16",
            f"cache={tmp_path}", "evaluate.before=false", f"hydra.run.dir={tmp_path}/run",
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "HARDNEG_TARGETS": "popular."},
        capture_output=True, text=True, timeout=patience(300),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run" / "summary.json").exists()
