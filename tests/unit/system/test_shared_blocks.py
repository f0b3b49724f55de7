"""Work in blocks that ranks do by turns."""

from __future__ import annotations

from hardneg.system import distributed, shared_blocks
from hardneg.system.progress import Progress


def blocks(folder, count, before=0):
    """Blocks of two rows each."""
    return [(range(2 * number, 2 * number + 2), folder / f"{before + number}") for number in range(count)]


def test_every_block_of_all_parts_is_done_once_and_turns_go_on_over_the_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    parts = [blocks(tmp_path, 4), blocks(tmp_path, 5, before=4)]
    done = {}
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        bar = Progress(shared_blocks.share_of(18), "test")
        first = shared_blocks.own(parts[0], bar)
        done[rank] = [path.name for _, path in [*first, *shared_blocks.own(parts[1], bar, first=4)]]
        assert bar.total == 6
    assert done == {0: ["0", "3", "6"], 1: ["1", "4", "7"], 2: ["2", "5", "8"]}


def test_what_an_earlier_attempt_did_is_skipped(tmp_path):
    work = blocks(tmp_path, 3)
    work[1][1].touch()
    bar = Progress(6, "test")
    assert shared_blocks.any_missing(path for _, path in work)
    for _, path in shared_blocks.own(work, bar):
        path.touch()
    assert not shared_blocks.any_missing(path for _, path in work)
    assert bar.skipped == 2 and bar.place == 2, "whoever does a block says so"
