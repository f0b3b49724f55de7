"""What README, guides and CONTRIBUTING tell people to type works."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import confs
import pytest
import yaml
from hydra import initialize_config_dir
from patience import patience

from hardneg import cli
from hardneg.cli import COMMANDS
from hardneg.commands import inspect, race
from hardneg.config import classes, composition
from hardneg.data.readers.guess import with_kind
from hardneg.errors import DataError
from hardneg.preflight.config import check_config
from hardneg.sweep import jobs
from hardneg.sweep.check_jobs import fixed
from hardneg.testing import check_data, check_encoder, check_loss, promises

ROOT = Path(__file__).parents[2]
FILE = "answers.txt"  # of the guide to own parts


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)


PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
BESIDE = ["CONTRIBUTING.md", "conf/experiment/README.md", "notebooks/README.md"]  # pages of the site too
STUDIES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "experiments").glob("*/README.md"))
HELP = [*sorted((ROOT / "src" / "hardneg" / "commands").glob("*.py")), *sorted((ROOT / "conf").glob("*.yaml"))]
APPS = ("train", "train-teacher", "mine", "probe", "evaluate", "index", "check")


def lines(pages: Iterable[str] = (*PAGES, *BESIDE, *STUDIES)) -> list[str]:
    """Every line of a shell that a page shows, whole, each once."""
    shown = [line for page in pages for block in blocks(page, "bash") for line in whole(block).splitlines()]
    return list(dict.fromkeys(line.split(" #")[0].strip() for line in shown if not line.startswith("#")))


def whole(block: str) -> str:
    return re.sub(r"\\\n\s*", "", block)


def examples() -> list[str]:
    """Every line that a command's help shows, which the reference prints."""
    shown = [line for path in HELP for line in re.findall(r"^ +(hardneg \S+ .*)", path.read_text(), re.MULTILINE)]
    return [line.split(" #")[0].rstrip() for line in shown if "..." not in line and ";" not in line]


def commands() -> list[str]:
    """Every command that is shown anywhere, once, without what a shell does around it."""
    shown = [line[line.index("hardneg ") :] for line in lines() if re.match(r"(\S+=\S* |.* \* {2})?hardneg \S", line)]
    return list(dict.fromkeys(re.split(r" [>|&]| {2,}\(", line)[0].strip() for line in [*shown, *examples()]))


def is_app(line: str) -> bool:
    return line.split()[1] in (*APPS, "race") and line.split()[2:3] not in (["switch"], ["rollback"], ["list"])


def with_new_words(jobs: list[list[str]]) -> Iterator[list[str]]:
    """The jobs of a sweep that have a word which none before had."""
    seen: set[str] = set()
    for job in jobs:
        if not seen.issuperset(job):
            yield job
        seen.update(job)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that the pages speak of, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARDNEG_TARGETS", "mypackage.")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "metrics.py").write_text("def first_hit(judged, ranked):\n    return 0.0\n")
    (tmp_path / "outputs" / "teacher" / "teacher").mkdir(parents=True)  # what train-teacher leaves
    for run in ("outputs/RUN", "outputs/NEW", "outputs/first", "RUN", "A", "B"):
        (tmp_path / run / "checkpoints").mkdir(parents=True)
        (tmp_path / run / "checkpoints" / "best.ckpt").touch()
    (tmp_path / "soup.ckpt").touch()
    for table in ("pairs.csv", "my_pairs.csv", "more.csv", "faq.csv"):
        (tmp_path / table).write_text("query,document\n")
    (tmp_path / "scores.tsv").write_text("query-id\tcorpus-id\tscore\n")
    for table in ("faq.jsonl", "pairs.jsonl"):
        (tmp_path / table).write_text("{}\n")
    for folder in ("DIR", "NFCORPUS"):  # in BEIR layout
        (tmp_path / folder / "qrels").mkdir(parents=True)
        for name in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv"):
            (tmp_path / folder / name).touch()


@pytest.mark.parametrize("line", filter(is_app, commands()))
def test_every_command_of_the_pages_passes_preflight(line, files):
    line = re.sub(r"\bFILE\b", "faq.jsonl" if "=jsonl" in line else "pairs.csv", line)
    command, *words = shlex.split(line.replace("=RUN/teacher", "=outputs/teacher/teacher"))[1:]
    if command == "race":
        command, words = race.command_of(words)
    if command == "check":
        words = [word if "=" in word else f"path={word}" for word in words]
    words = [word for word in with_kind(words)[0] if word != "-m" and not word.startswith("hydra.")]
    composition.register_resolvers()
    searched = any(word.startswith(("hydra/sweeper=", "hparams_search=")) for word in words)
    with initialize_config_dir(str(confs.CONF), version_base="1.3"):
        for job in with_new_words(jobs.expand(fixed(words) if searched else words)):
            check_config(composition.compose(command.replace("-", "_"), job))


class Understood(Exception):
    """The arguments have been read."""


@pytest.mark.parametrize("line", [line for line in commands() if not is_app(line)])
def test_every_other_command_of_the_pages_is_understood(line, files, monkeypatch):
    def read(self, arguments=None, namespace=None):
        _, unknown = known(self, arguments, namespace)
        if any(not re.match(r"[\w.@/:+~-]+=", word) for word in unknown):
            self.error(f"unknown: {unknown}")
        raise Understood

    known = argparse.ArgumentParser.parse_known_args
    for name in ("parse_args", "parse_known_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, read)
    command, *words = shlex.split(line)[1:]
    with pytest.raises(Understood):
        cli._run(command, words)
    if command == "stages":
        assert (ROOT / "conf" / "experiment" / words[0] / "stages.yaml").exists()
    if command == "inspect":
        inspect.config_words([word for word in words if not word.startswith("--")])


def test_the_pages_name_commands_targets_and_extras_that_there_are():
    everywhere = "\n".join((ROOT / page).read_text() for page in (*PAGES, *BESIDE, *STUDIES))
    written = "\n".join((ROOT / page).read_text() for page in (*PAGES, *BESIDE))
    assert set(re.findall(r"`hardneg ([a-z][\w-]*)[ `]", written)) <= {*COMMANDS}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    typed = lines(page for page in (*PAGES, *BESIDE, *STUDIES) if "your_own_parts" not in page)  # a study has its own
    named = re.findall(r"(?:hardneg|\.)\[([\w,-]+)\]'", "\n".join([everywhere.replace("'.[", ""), *typed]))
    assert {one for extras in named for one in extras.split(",")} <= {*project["optional-dependencies"]}
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {word for line in typed for word in re.findall(r"^(?:\S+=\S+ )?make ([\w-]+)", line)} <= set(targets)


def test_the_readme_shows_every_command_and_every_target_of_the_makefile_it_names():
    text = (ROOT / "README.md").read_text()
    pages = "\n".join((ROOT / page).read_text() for page in PAGES)
    assert not [command for command in COMMANDS if f"hardneg {command}" not in pages]
    assert len(text.encode()) < 9_000, "a front page is read in two minutes"
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"\bmake (\w+)", "\n".join(blocks("README.md", "bash")))) <= set(targets)


def test_every_file_that_the_makefile_names_is_there():
    named = re.findall(r"\b(?:tests|docs|experiments)/[\w/.-]+", (ROOT / "Makefile").read_text())
    assert len(named) > 5 and not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", [*PAGES, *BESIDE, *STUDIES])
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


def linked(page: str) -> set[str]:
    """The files, folders and headings that a page links to, as paths from the repository's root."""
    links = re.findall(r"\]\(([^)\s:]+)\)", (ROOT / page).read_text())
    return {os.path.normpath(Path(page).parent / path) for link in links for path in (link, link.partition("#")[0])}


@pytest.mark.parametrize("start", ["README.md", "docs/README.md"])
@pytest.mark.parametrize(
    ("asked", "page"),
    {
        "how do I bring a CSV": "docs/guides/data.md",
        "what does relative_margin do": "docs/guides/false_negatives.md",
        "how do I add a loss": "docs/guides/your_own_parts.md",
        "how do I go on after an interruption": "docs/guides/runs.md#resume-after-an-interruption",
        "how do I compare": "docs/guides/sweeps.md",
        "how do I serve": "docs/guides/serve.md",
    }.items(),
)  # fmt: skip
def test_a_strangers_question_is_one_click_from_the_front_pages(asked, page, start):
    assert page in linked(start), asked


def test_the_loss_of_the_guide_to_own_parts_holds_its_contract(tmp_path, monkeypatch):
    """As the study's own tests hold every yaml to it."""
    page = "docs/guides/your_own_parts.md"
    (code,) = [block for block in blocks(page, "python") if "class Lead" in block]
    (written,) = [block for block in blocks(page, "yaml") if "my_study.lead" in block]
    folder = tmp_path / "my_study"
    (folder / "conf" / "loss").mkdir(parents=True)
    (folder / "lead.py").write_text(code)
    (folder / "conf" / "loss" / "lead.yaml").write_text(written)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HARDNEG_TARGETS", "my_study.")
    for promise in promises(folder / "conf"):
        promise.hold()
    check_loss(classes.build(yaml.safe_load(written)))


@pytest.mark.parametrize(("kind", "group", "words"), [("Bytes", "encoder", {}), ("Answers", "data", {"path": FILE})])
def test_the_encoder_and_the_data_set_of_the_guide_hold_their_contracts(kind, group, words, tmp_path, monkeypatch):
    page = "docs/guides/your_own_parts.md"
    (code,) = [block for block in blocks(page, "python") if f"class {kind}" in block]
    (written,) = [block for block in blocks(page, "yaml") if f"my_study.{group}.{kind}" in block]
    (tmp_path / "my_study").mkdir()
    (tmp_path / "my_study" / f"{group}.py").write_text(code)
    (tmp_path / FILE).write_text("".join(f"how many is {n}?\nit is {n}\n" for n in range(30)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARDNEG_TARGETS", "my_study.")
    part = classes.build(yaml.safe_load(written) | words)
    {"encoder": check_encoder, "data": check_data}[group](part)


def test_an_odd_line_is_told_by_the_guides_data_set(tmp_path):
    (code,) = [block for block in blocks("docs/guides/your_own_parts.md", "python") if "class Answers" in block]
    names: dict = {}
    exec(code, names)
    (tmp_path / FILE).write_text("what?\nthat\nand?\n")
    with pytest.raises(DataError, match=rf"{FILE}:3: the last question has no answer"):
        names["Answers"](str(tmp_path / FILE)).load()


def test_the_source_of_contributing_works_as_printed(tmp_path):
    (code,), (config,) = blocks("CONTRIBUTING.md", "python"), blocks("CONTRIBUTING.md", "yaml")
    (tmp_path / "popular.py").write_text(code)
    extra = tmp_path / "conf" / "negatives"
    extra.mkdir(parents=True)
    (extra / "popular.yaml").write_text(config.replace("hardneg.negatives.popular", "popular"))
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
