"""An index at a PostgreSQL server that is not ours alone: roles of few rights, a standby, other clients."""

from __future__ import annotations

import random
import uuid
from string import ascii_lowercase

import pytest

from hardneg.errors import UserError
from hardneg.serving.backends.pgvector import PgVector
from hardneg.testing.synthetic import random_units

DIM = 16
UNITS = random_units(8, DIM).detach().numpy()


@pytest.fixture
def server(postgres):
    """A superuser's connection, and its dsn, with the extension there."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        yield connection, postgres


@pytest.fixture
def role(server):
    """The name of a role that may log in, and no more."""
    connection, _ = server
    name = f"r{uuid.uuid4().hex[:8]}"
    connection.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    connection.execute(f"DROP OWNED BY {name}")
    connection.execute(f"DROP ROLE {name}")


def of_role(dsn, role):
    return dsn.replace("user=postgres", f"user={role}")


@pytest.fixture
def index(server, tmp_path):
    """A function that fills a build of so many dimensions; what it leaves at the server goes in the end."""
    connection, dsn = server
    backend = PgVector(str(tmp_path), dsn=dsn, name=f"t{uuid.uuid4().hex[:8]}")
    folders = []

    def fill(build, dim=DIM):
        folders.append(tmp_path / build / "v")
        vectors = backend.create(folders[-1], dim, 8)
        vectors.upsert([f"{build}{row}" for row in range(8)], UNITS[:, :dim])
        vectors.close()
        backend.switch(folders[-1])
        return backend, folders[-1]

    yield fill
    connection.execute(f"DROP VIEW IF EXISTS {backend.name} CASCADE")
    for folder in folders:
        backend.drop(folder)


def test_a_server_that_only_reads_is_searched(index):
    backend, folder = index("aa")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")  # as a standby is
        vectors = backend.open(folder)
        assert vectors.search(UNITS[:1], 1)[0][0][0] == "aa0"
        vectors.close()


def test_who_may_read_the_view_may_after_a_switch(index, server, role):
    import psycopg

    backend, _ = index("aa")
    server[0].execute(f"GRANT SELECT ON {backend.name} TO {role}")
    server[0].execute(f"CREATE VIEW {backend.name}_ids AS SELECT id FROM {backend.name}")  # as other clients do
    index("bb")
    with psycopg.connect(of_role(server[1], role)) as client:
        assert client.execute(f"SELECT min(id) FROM {backend.name}").fetchone() == ("bb0",)
    assert server[0].execute(f"SELECT min(id) FROM {backend.name}_ids").fetchone() == ("bb0",)


def test_a_view_of_other_dimensions_is_told_to_have_lost_its_grants(index, server, caplog):
    backend, _ = index("aa")
    index("bb", dim=3)
    assert "grant other roles again" in caplog.text
    assert server[0].execute(f"SELECT count(*) FROM {backend.name}").fetchone() == (8,)


def test_a_role_that_may_make_no_table_is_told_what_it_needs(server, role, tmp_path):
    backend = PgVector(str(tmp_path), dsn=of_role(server[1], role), name="nobodys")
    backend.check()
    with pytest.raises(UserError, match=r"permission denied for schema public.* GRANT USAGE, CREATE ON SCHEMA"):
        backend.create(tmp_path / "aa" / "v", DIM, 8)


LONG = "".join(random.Random(0).choices(ascii_lowercase, k=6000))


def test_a_role_that_may_not_make_the_extension_is_told_who_does(server, role, tmp_path):
    import psycopg

    connection, dsn = server
    connection.execute(f"CREATE DATABASE {role}_empty")  # the extension is trusted here, and this role makes nothing
    try:
        empty = psycopg.conninfo.make_conninfo(of_role(dsn, role), dbname=f"{role}_empty")
        with pytest.raises(UserError, match=r"(?s)permission denied.*administrator types CREATE EXTENSION vector"):
            PgVector(str(tmp_path), dsn=empty).check()
    finally:
        connection.execute(f"DROP DATABASE {role}_empty")


@pytest.mark.parametrize(("name", "said"), [("a\0b", "NUL"), (LONG, "exceeds btree")], ids=["nul", "long"])
def test_an_id_that_postgresql_does_not_take_is_refused_in_words(index, name, said):
    backend, folder = index("aa")
    vectors = backend.open(folder)
    with pytest.raises(UserError, match=f"PostgreSQL: .*{said}"):
        vectors.upsert([name], UNITS[:1])
    assert vectors.count() == 8  # the connection is sound
    vectors.close()
