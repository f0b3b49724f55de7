"""Building: the same index whatever interrupts, no text embedded twice, what is deleted leaves."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from worlds import built, corpus, encoder

from hardneg.commands.index import list_builds
from hardneg.errors import ConfigError, UserError
from hardneg.serving import builder as build_module
from hardneg.serving import embed_shards, loading
from hardneg.serving.backends.faiss import Faiss
from hardneg.serving.builds import Build
from hardneg.serving.documents import Documents
from hardneg.serving.index_folder import MARK, IndexFolder
from hardneg.serving.manifest import NAME, Manifest
from hardneg.serving.text_encoder import TextEncoder

KINDS = ("faiss_flat", "faiss_hnsw", "qdrant", "qdrant_url", "lancedb", "pgvector")


class Killed(BaseException):
    """Stands in for a kill: no handler of ours catches it."""


@pytest.fixture(params=KINDS)
def kind(request, store):
    return store(request.param)


@pytest.fixture
def counted(monkeypatch):
    """The texts that are embedded for an index, in order."""
    seen: list[str] = []
    original = TextEncoder.documents

    def documents(self, texts, bar=None):
        if bar is not None:  # neither the timed sample nor a check
            seen.extend(texts)
        return original(self, texts, bar)

    monkeypatch.setattr(TextEncoder, "documents", documents)
    return seen


def held(build, data):
    """What the backend of a build holds of a corpus, and what it finds."""
    vectors = build.backend.open(build.vectors)
    ids = data.corpus.ids.to_pylist()
    stored = vectors.fetch(ids)
    answers = vectors.search(stored[:5], 3)
    count = vectors.count()
    vectors.close()
    return count, stored, [[(name, round(score, 5)) for name, score in answer] for answer in answers]


def test_it_holds_what_the_encoder_makes_and_says_what_it_is(toy, tmp_path):
    made = encoder(toy)
    build = built(tmp_path, toy, made, source={"ckpt_path": "a.ckpt"})
    count, stored, _ = held(build, toy)
    assert count == len(toy.corpus)
    np.testing.assert_allclose(stored, made.documents(toy.corpus.texts.to_pylist()), atol=1e-6)
    manifest = Manifest.read(build.folder)
    assert manifest.model["document"]["pooling"] == "mean" and manifest.model["query"]["max_length"] == 64
    assert manifest.metric == "cosine" and manifest.dtype == "float32" and manifest.dim == 16
    assert manifest.corpus["count"] == sum(one["count"] for one in manifest.shards) == 120
    assert len(manifest.shards) == 6 and manifest.measured["recall@10"] == 1.0
    assert {"hardneg", "torch", "numpy"} <= manifest.libraries.keys()
    assert json.loads((build.folder / "manifest.json").read_text())["source"] == {"ckpt_path": "a.ckpt"}


def test_only_what_is_new_or_changed_is_embedded_and_what_is_gone_leaves(toy, tmp_path, kind, counted):
    made = encoder(toy)
    built(tmp_path / "i", toy, made, kind(str(tmp_path / "i")))
    assert len(counted) == 120
    counted.clear()
    after = corpus(
        toy, lambda row: row not in (3, 50), lambda row, text: f"{text} x" if row == 7 else text, ["brand new"]
    )
    build = built(tmp_path / "i", after, made, kind(str(tmp_path / "i")))
    assert sorted(counted) == sorted(["brand new", f"{toy.corpus[7]} x"])
    whole = built(tmp_path / "j", after, made, kind(str(tmp_path / "j")))
    one, other = held(build, after), held(whole, after)
    assert one[0] == other[0] == len(after.corpus)
    np.testing.assert_allclose(one[1], other[1], atol=1e-6)
    vectors = build.backend.open(build.vectors)
    assert np.isnan(vectors.fetch([toy.corpus.ids[3].as_py(), toy.corpus.ids[50].as_py()])).all()
    vectors.close()


def test_the_same_again_is_there(toy, tmp_path, counted):
    made = encoder(toy)
    first = built(tmp_path, toy, made)
    counted.clear()
    assert built(tmp_path, toy, made).name == first.name and not counted
    assert built(tmp_path, toy, made, rebuild=True).name != first.name and len(counted) == 120
    counted.clear()
    # the next one takes the one that was built anew
    assert built(tmp_path, toy, made).name != first.name and not counted


def test_a_rebuild_reuses_nothing_of_a_build_that_never_went_live(toy, tmp_path, counted):
    made = encoder(toy)
    first = built(tmp_path, toy, made, switch=False)
    counted.clear()
    second = built(tmp_path, toy, made, rebuild=True)
    assert second.name != first.name and len(counted) == 120 and first.intact
    assert not {one.name for one in first.shards} & {one.name for one in second.shards}


@pytest.mark.parametrize("what", ["checkpoint", "data"])
def test_what_has_moved_is_named_by_another_build_which_costs_no_embedding(toy, tmp_path, counted, what):
    def source(place):
        (tmp_path / place).touch()
        return (
            {"ckpt_path": str(tmp_path / place)} if what == "checkpoint" else {"data": {"path": str(tmp_path / place)}}
        )

    made, root = encoder(toy), tmp_path / "i"
    first = built(root, toy, made, source=source("old"))
    counted.clear()
    assert built(root, toy, made, source=source("new")).name == first.name  # both are there, so nothing is missing
    (tmp_path / "old").unlink()
    second = built(root, toy, made, source=source("new"))
    assert second.name != first.name and second.manifest.source == source("new") and not counted
    assert held(second, toy)[0] == len(toy.corpus)
    assert built(root, toy, made, source=source("new")).name == second.name


def test_another_backend_or_another_query_tower_costs_no_embedding(toy, tmp_path, counted):
    first = built(tmp_path, toy, encoder(toy))
    counted.clear()
    assert built(tmp_path, toy, encoder(toy), Faiss(str(tmp_path), "HNSW32")).name != first.name
    trained_on = encoder(toy, separate=True)
    trained_on.towers.tower("query").embedding.weight.data += 1
    assert built(tmp_path, toy, trained_on).name != first.name
    assert not counted
    built(tmp_path, toy, encoder(toy, seed=1))
    assert len(counted) == 120


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "faiss_hnsw"], indirect=True)
@pytest.mark.parametrize("at", ["embedding", "loading", "manifest"])
def test_a_kill_at_any_moment_leaves_the_live_index_and_goes_on(toy, tmp_path, kind, at, monkeypatch, counted):
    root, made = tmp_path / "i", encoder(toy)
    live = built(root, corpus(toy, lambda row: row < 30), made, kind(str(root)))
    counted.clear()
    with monkeypatch.context() as patch:
        if at == "embedding":
            count, original = [], embed_shards.write_shard

            def write(folder, *rest):
                original(folder, *rest)
                count.append(folder)
                if len(count) == 3:
                    raise Killed

            patch.setattr(embed_shards, "write_shard", write)
        elif at == "loading":
            count, write_plan = [], loading._write

            def plan(*rest):
                write_plan(*rest)
                count.append(rest)
                if len(count) == 3:
                    raise Killed

            opened = []
            create = type(kind(str(root))).create
            patch.setattr(type(kind(str(root))), "create", lambda *rest: opened.append(create(*rest)) or opened[-1])
            patch.setattr(loading, "_write", plan)
            if not kind(str(root)).durable:
                patch.setattr(type(create(kind(str(root)), root, 16, 120)), "save", raise_killed)
        else:
            patch.setattr(build_module.Manifest, "write", raise_killed)
        with pytest.raises(Killed):
            built(root, toy, made, kind(str(root)))
        if at == "loading":
            opened[-1].close()  # a kill closes files
    assert IndexFolder(root).live().name == live.name
    assert [build.name for build in IndexFolder(root).builds()] == [live.name]
    build = built(root, toy, made, kind(str(root)))
    again = 20 if at == "embedding" else 0  # the shard that it was at
    assert len(counted) == 120 - 30 + again
    whole = built(tmp_path / "j", toy, made, kind(str(tmp_path / "j")))
    one, other = held(build, toy), held(whole, toy)
    assert one[0] == other[0]
    np.testing.assert_allclose(one[1], other[1], atol=1e-6)
    assert one[2] == other[2]


def raise_killed(*_):
    raise Killed


def test_an_estimate_comes_before_a_long_job(toy, tmp_path, caplog):
    made = encoder(toy)
    many = corpus(toy, more=[f"document {number}" for number in range(600)])
    with caplog.at_level(logging.INFO):
        built(tmp_path, many, made)
    said = next(line for line in caplog.messages if "to embed" in line)
    assert "720 documents: 720 to embed, 0 done already; about " in said and "documents a second (cpu, 32-true)" in said
    assert embed_shards.duration(30.0) == "30 s" and embed_shards.duration(600.0) == "10 min"
    assert embed_shards.duration(7300.0) == "2 h 2 min"


def test_two_builders_do_not_write_at_once(toy, tmp_path):
    with IndexFolder(tmp_path).writing(), pytest.raises(UserError, match="another process is indexing here"):
        built(tmp_path, toy, encoder(toy))


def test_narrow_embeddings_are_unit_vectors(toy, tmp_path):
    build = built(tmp_path, toy, encoder(toy, width=8))
    _, stored, _ = held(build, toy)
    assert stored.shape == (120, 8)
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigError, match="width=17 must be 1 to 16"):
        encoder(toy, width=17)


def test_what_cannot_be_indexed_is_refused(toy, tmp_path):
    broken = encoder(toy)
    broken.towers.tower("document").embedding.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match="the encoder makes no numbers of document"):
        built(tmp_path, toy, broken)
    with pytest.raises(ConfigError, match="has no documents to index"):
        built(tmp_path, corpus(toy, lambda row: False), encoder(toy))
    with pytest.raises(ConfigError, match="shard=0 must be 1"):
        built(tmp_path, toy, encoder(toy), shard=0)


def test_prune_keeps_the_live_builds_and_what_they_need(toy, tmp_path):
    made, folder = encoder(toy), IndexFolder(tmp_path)
    parts = [corpus(toy, lambda row, n=n: row < n) for n in (20, 40, 60)]
    builds = [built(tmp_path, part, made) for part in parts]
    with folder.writing():
        folder.prune(2, builds[-1])
    assert [build.name for build in folder.builds()] == [build.name for build in builds[1:]]
    assert len([path for path in (tmp_path / "shards").iterdir() if path.is_dir()]) == 3
    with pytest.raises(UserError, match="no builds"):
        folder.named(builds[0].name)
    assert folder.rollback().name == builds[1].name
    with pytest.raises(UserError, match="nothing to roll back to"):
        folder.rollback()
    with folder.writing():
        folder.switch(builds[2])
        folder.prune(2, builds[2], space=builds[2].manifest.space)
    assert [build.name for build in folder.builds()] == [builds[2].name]
    assert Build(tmp_path, builds[2].name).intact


def test_a_build_put_beside_survives_until_it_is_switched_to_or_another_is_put_there(toy, tmp_path, capsys):
    made, folder = encoder(toy), IndexFolder(tmp_path)
    parts = [corpus(toy, lambda row, n=n: row < n) for n in range(20, 80, 10)]

    def index(part, switch):
        build = built(tmp_path, part, made, switch=switch)
        with folder.writing():
            if not switch:
                folder.put_beside(build)
            folder.prune(1, build)
        return build.name

    first = index(parts[0], False)  # there is no live one yet
    live = index(parts[1], True)
    assert [one.name for one in folder.builds()] == [first, live] and folder.beside == [first]
    live = index(parts[2], True)
    second = index(parts[3], False)  # another one in its place
    assert {one.name for one in folder.builds()} == {live, second}
    list_builds(folder)
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [["live", live], ["beside", second]]
    folder.switch(folder.named(second))
    assert folder.beside == [] and folder.rollback().name == live
    list_builds(folder)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["live", "other"]
    assert index(parts[2], False) == live and folder.beside == []  # nothing to keep: it is the live one
    third = index(parts[4], False)
    kept = built(tmp_path, parts[0], made, switch=False)
    with folder.writing():
        folder.put_beside(kept, by="somebody else")  # one does not take away what another keeps
        folder.prune(1, kept)
    assert folder.beside == sorted([third, kept.name]) and folder.named(third).intact
    last = built(tmp_path, parts[5], made)
    with folder.writing():
        folder.prune(2, last, space=last.manifest.space)  # vectors of that space are not trusted
    assert [one.name for one in folder.builds()] == [last.name] and third not in folder.beside


@pytest.mark.parametrize("kind", ["qdrant_url", "pgvector"], indirect=True)
def test_nothing_of_a_removed_or_unfinished_build_is_left_at_a_server(toy, tmp_path, kind, monkeypatch, caplog):
    made, folder, backend = encoder(toy), IndexFolder(tmp_path), kind(str(tmp_path))
    parts = [corpus(toy, lambda row, n=n: row < n) for n in (20, 40, 60)]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(build_module.Manifest, "write", raise_killed)
        built(tmp_path, parts[0], made, backend)
    (killed,) = (tmp_path / "builds").iterdir()
    builds = [built(tmp_path, part, made, backend) for part in parts[1:]]
    backend.open(killed / "vectors").close()
    with folder.writing():
        folder.prune(1, builds[1])
    for gone in (killed / "vectors", builds[0].vectors):
        with pytest.raises(UserError, match="is not there; index again"):
            backend.open(gone)
    backend.open(builds[1].vectors).close()

    def refuse(*_):
        raise UserError("the server is away")

    last = built(tmp_path, parts[0], made, backend)
    with folder.writing(), monkeypatch.context() as patch:
        patch.setattr(type(backend), "drop", refuse)
        folder.prune(1, last)
    assert f"build {builds[1].name} is removed here, and what it has at its server is left: the server" in caplog.text
    assert [one.name for one in folder.builds()] == [last.name]


def test_a_folder_of_other_things_is_refused_and_in_an_index_only_what_is_ours_is_removed(toy, tmp_path):
    data, root, made = tmp_path / "data", tmp_path / "i", encoder(toy)
    (data / "shards").mkdir(parents=True)
    (data / "shards" / "train-00000.parquet").touch()
    with pytest.raises(UserError, match=r"holds other things than an index \(shards\); name a new"):
        built(data, toy, made)
    assert [path.name for path in data.rglob("*")] == ["shards", "train-00000.parquet"]

    build, folder = built(root, toy, made), IndexFolder(root)
    theirs = [root / "shards" / "train-00000.parquet", root / "builds" / "app" / "x", root / "builds" / "app" / NAME]
    ours = [root / "builds" / ("0" * 24) / "plan.json", root / "shards" / ("1" * 24) / "card.json"]
    ours += [root / "shards" / f"{'2' * 24}.lock", root / "shards" / f"{'3' * 24}.tmp-0123abcd" / "vectors.npy"]
    for path in theirs + ours:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with folder.writing():
        folder.prune(1, build)
    assert all(path.exists() for path in theirs) and not any(path.exists() for path in ours)
    assert [one.name for one in folder.builds()] == [build.name] and build.intact


def test_an_index_that_was_copied_without_its_hidden_files_is_still_one(tmp_path):
    (tmp_path / "live.json").touch()
    with IndexFolder(tmp_path).writing():
        assert (tmp_path / MARK).is_file()


def test_documents_are_compared_by_id_and_text(toy):
    after = corpus(toy, lambda row: row != 4, lambda row, text: "other" if row == 9 else text, ["new"])
    one, other = Documents.of(after.corpus), Documents.of(toy.corpus)
    difference = one.against(other)
    assert str(difference) == "1 missing, 1 changed, 1 deleted" and difference
    assert after.corpus[int(difference.missing[0])] == "new" and difference.extra.tolist() == [4]
    assert (
        not other.against(other) and Documents.of(toy.corpus.slice(range(5, 9))).hash == other.slice(range(5, 9)).hash
    )
    assert Documents.joined([other.slice(range(60)), other.slice(range(60, 120))]).hash == other.hash
