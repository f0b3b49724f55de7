"""Every backend that is installed keeps the same promises."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
from worlds import STORES

from hardneg.errors import ConfigError, UserError
from hardneg.serving.backends.faiss import Faiss, chosen
from hardneg.serving.backends.pgvector import PgVector
from hardneg.serving.backends.qdrant import Qdrant
from hardneg.testing.synthetic import random_units

DIM, N = 16, 400
UNITS = random_units(N, DIM).detach().numpy()
IDS = [f"it's no. {i} /\"é" if i % 2 else f"d{i}" for i in range(N)]


@pytest.fixture(params=STORES)
def backend(request, store, tmp_path):
    return store(request.param)(str(tmp_path))


def filled(backend, folder):
    vectors = backend.create(folder, DIM, N)
    if not vectors.trained:
        vectors.train(UNITS)
    vectors.upsert(IDS[:200], UNITS[:200])
    vectors.upsert(IDS[200:], UNITS[200:])
    return vectors


def same(backend, one, other):
    np.testing.assert_allclose(one, other, atol=1e-5 if backend.lossless else 0.6)


def test_what_is_put_in_is_found_counted_and_fetched_also_after_it_was_opened_again(backend, tmp_path):
    vectors = filled(backend, tmp_path / "one" / "v")
    vectors.save()
    for _ in range(2):
        assert vectors.count() == N
        answers = vectors.search(UNITS[[3, 250]], 5)
        assert [len(answer) for answer in answers] == [5, 5]
        for row, answer in zip((3, 250), answers, strict=True):
            names, scores = zip(*answer, strict=True)
            assert IDS[row] in names and list(scores) == sorted(scores, reverse=True)
            exact = UNITS[[IDS.index(name) for name in names]] @ UNITS[row]
            np.testing.assert_allclose(scores, exact, atol=1e-4 if backend.lossless else 0.5)
            if backend.lossless:
                np.testing.assert_allclose(scores, np.sort(UNITS @ UNITS[row])[::-1][:5], atol=1e-4)
        same(backend, vectors.fetch([IDS[301], IDS[7]]), UNITS[[301, 7]])
        assert np.isnan(vectors.fetch(["nobody"])).all()
        vectors.close()
        vectors = backend.open(tmp_path / "one" / "v")
    vectors.close()


def test_more_than_there_is_gives_all_there_is(backend, tmp_path):
    vectors = backend.create(tmp_path / "one" / "v", DIM, N)
    if not vectors.trained:
        vectors.train(UNITS)
    assert vectors.count() == 0 and vectors.search(UNITS[:1], 3) == [[]]
    vectors.upsert(IDS[:2], UNITS[:2])
    assert sorted(name for name, _ in vectors.search(UNITS[:1], 9)[0]) == sorted(IDS[:2])
    vectors.close()


def test_an_upsert_replaces_and_what_is_deleted_never_comes_back(backend, tmp_path):
    vectors = filled(backend, tmp_path / "one" / "v")
    vectors.upsert(IDS[:3], -UNITS[:3])
    assert vectors.count() == N
    same(backend, vectors.fetch(IDS[:3]), -UNITS[:3])
    assert vectors.search(-UNITS[[1]], 1)[0][0][0] == IDS[1] or not backend.lossless
    vectors.delete([IDS[1], IDS[399], "nobody"])
    vectors.delete([])
    assert vectors.count() == N - 2
    assert np.isnan(vectors.fetch([IDS[1]])).all()
    found = {name for answer in vectors.search(np.concatenate([-UNITS[[1]], UNITS[[399]]]), 50) for name, _ in answer}
    assert not {IDS[1], IDS[399]} & found
    vectors.save()
    vectors.close()
    vectors = backend.open(tmp_path / "one" / "v")
    assert vectors.count() == N - 2
    same(backend, vectors.fetch([IDS[2], IDS[5]]), np.stack([-UNITS[2], UNITS[5]]))
    vectors.close()


def test_a_copy_lives_its_own_life(backend, tmp_path):
    if not backend.incremental and isinstance(backend, Qdrant):
        pytest.skip("a Qdrant server copies no collection")
    vectors = filled(backend, tmp_path / "one" / "v")
    vectors.save()
    vectors.close()
    backend.copy(tmp_path / "one" / "v", tmp_path / "two" / "v")
    copy = backend.open(tmp_path / "two" / "v")
    copy.delete(IDS[:1])
    copy.upsert(["new"], UNITS[:1])
    copy.save()
    copy.close()
    vectors, copy = backend.open(tmp_path / "one" / "v"), backend.open(tmp_path / "two" / "v")
    assert not np.isnan(vectors.fetch(IDS[:1])).any() and np.isnan(vectors.fetch(["new"])).all()
    assert np.isnan(copy.fetch(IDS[:1])).all() and not np.isnan(copy.fetch(["new"])).any()
    for one in (vectors, copy):
        one.close()
    backend.drop(tmp_path / "two" / "v")
    assert not (tmp_path / "two" / "v").exists()


def test_durable_backends_go_on_after_a_kill(backend, tmp_path):
    if not backend.durable:
        pytest.skip("it is in memory until it is saved")
    vectors = backend.create(tmp_path / "one" / "v", DIM, N)
    vectors.upsert(IDS[:5], UNITS[:5])
    vectors.close()
    vectors = backend.create(tmp_path / "one" / "v", DIM, N)
    vectors.upsert(IDS[3:9], UNITS[3:9])
    assert vectors.count() == 9
    vectors.close()


def test_a_second_process_is_told_that_qdrants_local_mode_lets_one_in(tmp_path):
    pytest.importorskip("qdrant_client")
    vectors = Qdrant(str(tmp_path)).create(tmp_path / "one" / "v", DIM, N)
    with pytest.raises(UserError, match="another process has this Qdrant folder open"):
        Qdrant(str(tmp_path)).open(tmp_path / "one" / "v")
    vectors.close()


def test_the_view_of_postgresql_follows_a_switch(postgres, tmp_path):
    import psycopg

    backend = PgVector(str(tmp_path), dsn=postgres, name="live_documents")
    with psycopg.connect(postgres, autocommit=True) as connection:
        for dim, build in ((DIM, "aa"), (3, "bb")):
            vectors = backend.create(tmp_path / build / "v", dim, N)
            vectors.upsert([build], UNITS[:1, :dim])
            vectors.close()
            backend.switch(tmp_path / build / "v")
            assert connection.execute("SELECT id FROM live_documents").fetchall() == [(build,)]
    backend.drop(tmp_path / "aa" / "v")
    with pytest.raises(UserError, match=r"the table live_documents_[0-9a-f]{8}_aa is not there"):
        backend.open(tmp_path / "aa" / "v")


def test_two_indexes_of_one_name_share_no_table(postgres, tmp_path):
    name = f"t{uuid.uuid4().hex[:8]}"
    one, other = (PgVector(str(tmp_path / root), dsn=postgres, name=name) for root in "ij")
    for backend in (one, other):
        backend.create(Path(backend.path) / "builds" / "aa" / "vectors", DIM, N).close()
    other.drop(tmp_path / "j" / "builds" / "aa" / "vectors")
    one.open(tmp_path / "i" / "builds" / "aa" / "vectors").close()


def test_a_graph_gives_as_many_as_are_asked_for(postgres, tmp_path):
    backend = PgVector(str(tmp_path), dsn=postgres, name=f"t{uuid.uuid4().hex[:8]}", hnsw=True, ef_search=20)
    vectors = filled(backend, tmp_path / "one" / "v")
    vectors.save()
    vectors.connection.execute("SET enable_seqscan = off")
    assert [len(answer) for answer in vectors.search(UNITS[:2], 150)] == [150, 150]
    vectors.close()


def test_a_connection_that_the_server_has_ended_is_made_again(postgres, tmp_path):
    import psycopg

    def end():
        with psycopg.connect(postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [vectors.connection.info.backend_pid])

    backend = PgVector(str(tmp_path), dsn=postgres, name=f"t{uuid.uuid4().hex[:8]}", hnsw=True, ef_search=20)
    vectors = filled(backend, tmp_path / "one" / "v")
    vectors.save()
    before = vectors.search(UNITS[:2], 10)
    end()
    assert vectors.search(UNITS[:2], 10) == before
    end()
    assert vectors.count() == N
    np.testing.assert_array_equal(vectors.fetch(["d4"]), UNITS[4:5])
    end()  # before it must search wider, and wider it searches
    wide = vectors.search(UNITS[:2], 150)
    end()
    vectors.search(UNITS[:1], 1)
    vectors.connection.execute("SET enable_seqscan = off")
    assert [len(answer) for answer in vectors.search(UNITS[:2], 150)] == [150, 150] == [len(one) for one in wide]
    vectors.close()


def test_tables_are_named_by_index_and_build_within_what_postgresql_keeps(tmp_path, monkeypatch):
    name, build = "n" * 24, "f" * 24
    one, other = (PgVector(str(tmp_path / root), name=name)._table(tmp_path / build / "v") for root in "ij")
    assert one != other and len(f"{one}_hnsw") == 63 and one.endswith(build)
    monkeypatch.chdir(tmp_path)
    assert PgVector("i", name=name)._table(tmp_path / build / "v") == one
    with pytest.raises(ConfigError, match="take 24 bytes"):
        PgVector(str(tmp_path), name="é" * 13)
    with pytest.raises(ConfigError, match=r"ef_search=1001 must be 1 to 1000"):
        PgVector(str(tmp_path), ef_search=1001)


def test_a_dsn_with_a_password_and_a_server_that_is_not_there_are_refused(tmp_path):
    pytest.importorskip("psycopg")
    for dsn in ("postgresql://me:secret@host/db", "host=h password = secret"):
        with pytest.raises(ConfigError, match="holds a password"):
            PgVector(str(tmp_path), dsn=dsn)
    with pytest.raises(ConfigError, match="must be a name that PostgreSQL takes"):
        PgVector(str(tmp_path), name="a-b")
    with pytest.raises(UserError, match="PostgreSQL must run there"):
        PgVector(str(tmp_path), dsn=f"host={tmp_path}").check()


def test_stars_of_a_factory_string_suit_the_corpus():
    assert chosen("IVF*,PQ*", 384, 1_000_000) == "IVF4096,PQ96"
    assert chosen("IVF*,PQ*", 384, 3_633) == "IVF93,PQ96"
    assert chosen("IVF*,PQ*", 7, 10) == "IVF1,PQ1"
    assert chosen("HNSW32", 384, 10) == "HNSW32"


def test_what_faiss_cannot_do_is_said_with_a_way_out(tmp_path):
    pytest.importorskip("faiss")
    with pytest.raises(ConfigError, match="is not a faiss index of 16 dimensions"):
        Faiss(str(tmp_path), factory="Flt").create(tmp_path, DIM, N)
    small = Faiss(str(tmp_path), factory="IVF*,PQ*").create(tmp_path, DIM, 10)
    with pytest.raises(ConfigError, match=r"cannot be trained on 10 documents.*take index=faiss_flat"):
        small.train(UNITS[:10])
    with pytest.raises(ConfigError, match=r"index.path is empty"):
        Faiss("")
