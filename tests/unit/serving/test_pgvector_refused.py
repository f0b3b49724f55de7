"""A table that PostgreSQL has not, or may not make, leaves no connection behind."""

from __future__ import annotations

import pytest

pytest.importorskip("psycopg")
import psycopg

from hardneg.errors import UserError
from hardneg.serving.backends.pgvector import PgVector


class Connection:
    """One to a server that has no table, and makes none."""

    closed = False

    def execute(self, statement, values=()):
        if "CREATE" in str(statement):
            raise psycopg.errors.InsufficientPrivilege("permission denied for schema public")
        return self

    def fetchone(self):
        return None

    def close(self):
        self.closed = True


@pytest.mark.parametrize("asked", [lambda backend, at: backend.open(at), lambda backend, at: backend.create(at, 4, 8)])
def test_the_connection_is_closed(tmp_path, monkeypatch, asked):
    """It was left to the collector, which warned of it."""
    made = Connection()
    monkeypatch.setattr(PgVector, "connect", lambda self: made)
    with pytest.raises(UserError):
        asked(PgVector(str(tmp_path)), tmp_path / "build")
    assert made.closed
