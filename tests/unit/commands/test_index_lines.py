"""What `hardneg index` and `hardneg search` print, within a terminal of 80 columns; in a pipe no line is broken."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from rich.cells import cell_len

from hardneg.commands.index import list_builds
from hardneg.commands.search import show
from hardneg.serving.builds import Build
from hardneg.serving.freshness import CheckResult, Freshness
from hardneg.serving.live_index import Answer
from hardneg.serving.manifest import Manifest
from hardneg.serving.opened_build import Hit
from hardneg.system.screen import Screen, before_command, shortest

BUILD = "907c42b23f62b4fa2bb75075"
CHECKS = ("model", "files", "canaries", "vectors", "stored", "corpus", "count")
FRESH = Freshness(BUILD, "2026-11-30T02:51:00", tuple(CheckResult(about, True, "") for about in CHECKS), "")


@pytest.fixture(params=[True, False])
def terminal(request, monkeypatch):
    """Standard output is one of 80 columns, or a pipe."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    if request.param:
        monkeypatch.setenv("FORCE_COLOR", "1")  # to rich, a terminal
    return request.param


def printed(capsys):
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", ["d949", "src/hardneg/serving/a_module_with_a_long_name.py:Class.method"])
def test_a_search(capsys, terminal, name):
    texts = ("new_list = list(old_list) " * 9, "排序一个列表" * 20)
    show("list", Answer(tuple(Hit(name, 0.7, text) for text in texts), BUILD, str(FRESH)))
    lines = printed(capsys)
    assert sum(name in line for line in lines) == 2 and "(model, files, canaries" in " ".join(lines)
    if terminal:
        assert max(map(cell_len, lines)) <= 80
    else:
        assert len(lines) == 5 and str(FRESH) in lines  # the last is empty


def test_a_list_of_builds(capsys, terminal, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / "outputs" / "a run of a long name" / "checkpoints" / "best.ckpt"
    facts = {"backend": {"_target_": "hardneg.serving.backends.faiss.Faiss"}, "corpus": {"count": 8_841_823}}
    manifest = Manifest.__new__(Manifest)
    vars(manifest).update(created="2026-11-30T02:51:00", source={"ckpt_path": str(checkpoint)}, **facts)
    build = Build(tmp_path, BUILD)
    vars(build)["manifest"] = manifest

    class Folder:
        beside = ()

        def stack(self):
            return [BUILD]

        def builds(self):
            return [build]

    list_builds(Folder())
    lines = printed(capsys)
    if terminal:
        assert max(map(len, lines)) <= 80 and lines[1].strip() == str(checkpoint.relative_to(tmp_path))
    else:
        assert len(lines) == 1 and lines[0].endswith(str(checkpoint))


def test_commands_stand_whole_in_a_line():
    assert before_command("live:", "hardneg search i") == "live: hardneg search i"
    command = "hardneg index switch indexes/the-live-index-of-conala " + BUILD
    assert before_command("beside the live one; to switch:", command).splitlines()[1] == command


def test_a_path_is_written_as_it_is_shorter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shortest("i") == "i" and shortest(tmp_path / "i" / "j") == str(Path("i", "j"))
    assert shortest(Path("/a")) == "/a"


def test_the_freshness_on_the_screen():
    record = logging.makeLogRecord({"msg": str(FRESH), "in_short": FRESH.in_short})
    assert Screen().format(record) == f"fresh: build {BUILD} of 2026-11-30 02:51 UTC (7 checks)"
    stale = Freshness(BUILD, FRESH.created, (CheckResult("model", False, "another"),), "")
    assert stale.in_short == str(stale)
