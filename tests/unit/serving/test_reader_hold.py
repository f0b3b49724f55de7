"""A build that is removed while somebody asks it goes on answering, and leaves once nobody does."""

from __future__ import annotations

import fcntl
import importlib
import multiprocessing
import os
import shutil
import signal
import threading

import pytest
from worlds import built, corpus, encoder, saved, trained

from hardneg.commands.index import main as change
from hardneg.errors import UserError
from hardneg.serving import live_index as live_module
from hardneg.serving import opened_build
from hardneg.serving.backends.faiss import Faiss
from hardneg.serving.backends.lancedb import LanceDB
from hardneg.serving.backends.qdrant import Qdrant
from hardneg.serving.index_folder import IndexFolder
from hardneg.serving.live_index import LiveIndex
from hardneg.serving.manifest import NAME, RETIRED, Manifest
from hardneg.serving.reader_hold import Hold, unheld

KINDS = {"faiss": (Faiss, "faiss"), "lancedb": (LanceDB, "lancedb"), "qdrant": (Qdrant, "qdrant_client")}


@pytest.fixture(params=KINDS)
def backend(request, tmp_path):
    kind, needs = KINDS[request.param]
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    return kind(str(tmp_path / "i"))


@pytest.fixture
def source(toy, tmp_path):
    return {"ckpt_path": saved(trained(toy), tmp_path / "a.ckpt")}


def index(root, toy, rows, backend=None, **more):
    """Build the first so many documents, switch, and keep nothing else."""
    build = built(root, corpus(toy, lambda row: row < rows), encoder(toy), backend, **more)
    folder = IndexFolder(root)
    with folder.writing():
        folder.prune(1, build)
    return build


def test_a_build_that_was_removed_before_it_was_ever_asked_answers(toy, tmp_path, backend, source, monkeypatch):
    root = tmp_path / "i"
    first = index(root, toy, 40, backend, source=source)
    live = LiveIndex(root, device="cpu")
    monkeypatch.setattr(LiveIndex, "follow", lambda self: None)  # busy with opening what is newer, say
    second = index(root, toy, 60, backend, source=source, shard=7)  # so that no shard of the first is needed any more
    assert [build.name for build in IndexFolder(root).builds()] == [second.name]
    for query in (toy.corpus[5], toy.corpus[39]):
        (answer,) = live.search([query], 40)
        assert answer.build == first.name and {hit.id for hit in answer.hits} == set(toy.corpus.ids[:40].to_pylist())
        assert answer.hits[0].text == query
    live.close()
    assert first.folder.exists()
    index(root, toy, 60, backend, source=source)
    assert not first.folder.exists() and len(list((root / "builds").iterdir())) == 1


def test_a_removed_build_that_is_held_is_not_built_over(toy, tmp_path, backend, source):
    root = tmp_path / "i"
    first = index(root, toy, 40, backend, source=source)
    live = LiveIndex(root, device="cpu")
    index(root, toy, 60, backend, source=source)
    again = index(root, toy, 40, backend, source=source)
    assert again.name != first.name and first.retired and not again.retired
    assert again.manifest.content == first.manifest.content
    live.close()
    assert index(root, toy, 40, backend, source=source).name == again.name
    assert [path.name for path in (root / "builds").iterdir()] == [again.name]


def test_what_is_not_trusted_is_not_used_again_because_somebody_asks_it(toy, tmp_path, source):
    """Shards of a held build stay for a reader that is opening it, but not those that a rebuild replaces."""
    root = tmp_path / "i"
    first = index(root, toy, 40, source=source)
    live, folder = LiveIndex(root, device="cpu"), IndexFolder(root)
    index(root, toy, 60, source=source)
    assert all(shard.folder.exists() for shard in first.shards)
    third = built(root, corpus(toy, lambda row: row < 60), encoder(toy), source=source, rebuild=True)
    with folder.writing():
        folder.prune(2, third, third.manifest.space)
    assert not any(shard.folder.exists() for shard in first.shards) and third.intact
    assert live.search(["x"])[0].build == third.name


def test_a_build_that_goes_while_it_is_being_opened_gives_way_to_the_live_one(toy, tmp_path, source, monkeypatch):
    root = tmp_path / "i"
    first = index(root, toy, 40, source=source)
    opening, newer = live_module.open_build, []

    def slow(build, *rest):
        if not newer:
            newer.append(index(root, toy, 60, source=source))
        return opening(build, *rest)

    monkeypatch.setattr(live_module, "open_build", slow)
    live = LiveIndex(root, device="cpu")
    assert live.build.name == newer[0].name != first.name and live.search(["x"])[0].freshness.endswith("checked)")
    assert not first.folder.exists()


def held(manifest, ready):
    hold = Hold(manifest)
    ready.set()
    threading.Event().wait(60)
    hold.release()


def test_a_hold_ends_with_its_process_however_that_ends(toy, tmp_path):
    build = index(tmp_path, toy, 40)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=held, args=(build.folder / NAME, ready))
    process.start()
    assert ready.wait(60)
    with unheld(build.folder / NAME) as free:
        assert not free
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with unheld(build.folder / NAME) as free:
        assert free
    build.retire()
    assert build.manifest.build == build.name and (build.folder / RETIRED).is_file()
    with pytest.raises(UserError, match="was removed, or never finished"):
        Hold(build.folder / NAME)


def test_one_may_roll_back_while_another_process_is_indexing(toy, tmp_path, source, capsys):
    root = tmp_path / "i"
    builds = [built(root, corpus(toy, lambda row, n=n: row < n), encoder(toy), source=source) for n in (40, 60)]
    with IndexFolder(root).writing():
        change(["rollback", str(root)])
        assert builds[0].name in capsys.readouterr().out
        change(["switch", str(root), builds[1].name])
        assert IndexFolder(root).live().name == builds[1].name
        builds[0].retire()
        with pytest.raises(UserError, match="was removed, or never finished"):
            IndexFolder(root).switch(builds[0])


def test_builds_that_go_while_they_are_listed_are_left_out(toy, tmp_path, monkeypatch):
    builds = [built(tmp_path, corpus(toy, lambda row, n=n: row < n), encoder(toy)) for n in (40, 60)]
    read = Manifest.read

    def removing(folder, name=NAME):
        if folder == builds[0].folder:
            shutil.rmtree(folder, ignore_errors=True)
        return read(folder, name)

    monkeypatch.setattr(Manifest, "read", removing)
    assert [build.name for build in IndexFolder(tmp_path).builds()] == [builds[1].name]
    (builds[1].folder / NAME).write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        IndexFolder(tmp_path).builds()


def test_where_files_cannot_be_locked_an_index_still_answers(toy, tmp_path, source, monkeypatch):
    def flock(*_):
        raise OSError(95, "Operation not supported")

    build = index(tmp_path / "i", toy, 40, source=source)
    monkeypatch.setattr(fcntl, "flock", flock)
    live = LiveIndex(tmp_path / "i", device="cpu")
    assert live.search([toy.corpus[5]])[0].build == build.name
    with unheld(build.folder / NAME) as free:
        assert free


@pytest.mark.parametrize(("owner", "name"), [(opened_build, "examine"), (opened_build.OpenedBuild, "search")])
def test_a_build_that_cannot_be_checked_is_closed(toy, tmp_path, backend, source, monkeypatch, owner, name):
    """Qdrant locks its folder as long as it is open."""
    build = index(tmp_path / "i", toy, 40, backend, source=source)

    def fails(*given, **named):
        raise OSError("no more memory")

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fails)
        with pytest.raises(OSError, match="no more memory") as kept:  # with all that its frames hold
            LiveIndex(tmp_path / "i", device="cpu")
    with unheld(build.folder / NAME) as free:
        assert free
    assert LiveIndex(tmp_path / "i", device="cpu").search(["a"], 3)[0].hits
    assert kept.tb
