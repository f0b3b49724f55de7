"""What lies in the cache: sizes with shared files once, who holds what, and what may be removed."""

from __future__ import annotations

import os
import time

import pytest
from filelock import FileLock

from hardneg.commands import cache as command
from hardneg.errors import UserError
from hardneg.system.cache import hold
from hardneg.system.cache_layers import entries, left_over, prune, to_prune


def aged(path, days):
    os.utime(path, (time.time() - days * 86400,) * 2)


@pytest.fixture
def cache(tmp_path):
    for layer, name, size in (("rankings", "r", 1000), ("stores", "s", 10), ("vectors", "v", 5000), ("tokens", "t", 7)):
        (tmp_path / layer / name).mkdir(parents=True)
        (tmp_path / layer / name / "x.npy").write_bytes(b"0" * size)
    os.link(tmp_path / "rankings" / "r" / "x.npy", tmp_path / "stores" / "s" / "ids.npy")
    hold(tmp_path / "stores" / "s", "run")
    for layer, name, days in (("stores", "s", 50), ("vectors", "v", 40), ("tokens", "t", 2), ("rankings", "r", 50)):
        aged(tmp_path / layer / name, days)
    return tmp_path


def names(found):
    return [f"{entry.layer}/{entry.folder.name}" for entry in found]


def test_a_file_with_two_names_counts_once(cache):
    assert {name: entry.size for name, entry in zip(names(entries(cache)), entries(cache), strict=True)} == {
        "tokens/t": 7, "vectors/v": 5000, "rankings/r": 1000, "stores/s": 10,
    }  # fmt: skip


def test_what_a_run_holds_or_somebody_used_lately_is_left(cache):
    found, all_layers = entries(cache), ["tokens", "vectors", "rankings", "stores"]
    assert names(to_prune(found, all_layers, 30, held=False)) == ["vectors/v", "rankings/r"]
    assert names(to_prune(found, ["vectors"], 30, held=False)) == ["vectors/v"]
    assert names(to_prune(found, all_layers, 0, held=True)) == names(found)


def test_lists_outlive_the_rankings_that_they_share_files_with(cache):
    (rankings,) = (entry for entry in entries(cache) if entry.layer == "rankings")
    assert prune(rankings) and not rankings.folder.exists()
    assert (cache / "stores" / "s" / "ids.npy").stat().st_size == 1000


def test_what_is_being_built_is_left(cache):
    (vectors,) = (entry for entry in entries(cache) if entry.layer == "vectors")
    with FileLock(cache / "vectors" / "v.lock"):
        assert not prune(vectors) and vectors.folder.exists()


def test_what_a_killed_process_left_is_named_when_it_is_a_day_old(cache):
    for name, days in (("a.tmp-1", 3), ("b.tmp-2", 0)):
        (cache / "tokens" / name).mkdir()
        aged(cache / "tokens" / name, days)
    assert [path.name for path in left_over(cache)] == ["a.tmp-1"]


def test_the_command_shows_and_prunes(cache, capsys):
    command.main(["--folder", str(cache)])
    assert "vectors" in capsys.readouterr().out
    command.main(["prune", "--folder", str(cache), "--dry-run"])
    said = capsys.readouterr().out
    assert "would remove vectors/v: 5.0 kB, unused for 40 days" in said and "would free 6.0 kB" in said
    assert (cache / "vectors" / "v").exists()
    command.main(["prune", "--folder", str(cache), "--layer", "vectors"])
    assert "freed 5.0 kB" in capsys.readouterr().out
    assert not (cache / "vectors" / "v").exists() and (cache / "rankings" / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--folder", "nowhere"], "there is no cache"), (["prune", "--layer", "vector"], "the layers are data, tokens")],
)
def test_what_is_not_there_is_said(arguments, says, monkeypatch, tmp_path):
    monkeypatch.setenv("HARDNEG_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=says):
        command.main(arguments)
