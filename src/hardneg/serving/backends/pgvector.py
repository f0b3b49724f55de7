"""PostgreSQL with pgvector: a table a build, and a view that names the live one (extra hardneg[pgvector])."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float32

from hardneg.errors import ConfigError, UserError
from hardneg.serving.backends.base import Backend, Vectors

log = logging.getLogger(__name__)

LONGEST = 24  # bytes of a name; PostgreSQL cuts at 63, and two hashes and the graph's suffix follow it
WIDEST = 1000  # hnsw.ef_search takes no more


@contextmanager
def saying() -> Iterator[None]:
    """Turn what PostgreSQL refuses into a `UserError` that says why, and what would help."""
    library = _library()
    try:
        yield
    except library.errors.InsufficientPrivilege as error:
        raise UserError(
            f"PostgreSQL: {error.diag.message_primary}; a role that indexes makes and drops tables, as by GRANT USAGE,"
            " CREATE ON SCHEMA public TO ROLE, and one that searches reads them"
        ) from error
    except library.Error as error:
        raise UserError(f"PostgreSQL: {str(error).strip()}") from error


@dataclass(frozen=True)
class PgVector(Backend):
    """Tables `NAME_<index>_<build>` with the columns `id` and `vector`, and a view `NAME` of the live one.

    `dsn` is libpq's (empty: what PGHOST, PGDATABASE, ... say); it is kept in the manifest, so a password in it is
    refused. With `hnsw` a graph is built (at most 2,000 dimensions), searched `ef_search` wide or as wide as documents
    are asked for (at most 1,000 either way); else search is exact. Manifest, texts and shards lie in `path`, whose hash
    is <index>: a folder that is moved must be indexed again. Two indexes at one server need two names to have a view
    each. Raises `UserError` where the server or its extension is not there; `ConfigError` for a password in `dsn`, a
    name that PostgreSQL does not take, and an `ef_search` out of range.
    """

    dsn: str = ""
    name: str = "hardneg"
    hnsw: bool = False
    ef_search: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if "password=" in self.dsn.replace(" ", "") or ("://" in self.dsn and urlsplit(self.dsn).password):
            raise ConfigError(
                "index.dsn holds a password, which would be written down; set PGPASSWORD or use ~/.pgpass"
            )
        if not self.name.isidentifier():
            raise ConfigError(f"index.name={self.name!r} must be a name that PostgreSQL takes: letters, digits and _")
        if len(self.name.encode()) > LONGEST:
            raise ConfigError(f"index.name={self.name!r} is too long for the names of tables; take {LONGEST} bytes")
        if not 1 <= self.ef_search <= WIDEST:
            raise ConfigError(f"index.ef_search={self.ef_search} must be 1 to {WIDEST}, as pgvector has it")

    def check(self) -> None:
        """Connect, and have the extension there."""
        self.connect().close()

    @saying()
    def create(self, folder: Path, dim: int, documents: int) -> PgVectors:
        """Make the table, unless a killed build left it."""
        folder.mkdir(parents=True, exist_ok=True)
        return self._opened(
            folder, f"CREATE TABLE IF NOT EXISTS {{}} (id text PRIMARY KEY, vector vector({dim}) NOT NULL)"
        )

    def open(self, folder: Path) -> PgVectors:
        """Connect to the build's table."""
        return self._opened(folder)

    def _opened(self, folder: Path, statement: str | None = None) -> PgVectors:
        """Connect to the build's table, after this statement about it; what is refused leaves no connection."""
        table, connection = self._table(folder), self.connect()
        with ExitStack() as undo:
            undo.callback(connection.close)
            if statement is not None:
                connection.execute(_sql(statement, table))
            vectors = PgVectors(connection, table, self)
            undo.pop_all()
        return vectors

    @saying()
    def copy(self, source: Path, folder: Path) -> None:
        """Copy the table."""
        new, old = self._table(folder), self._table(source)
        with self.connect() as connection, connection.transaction():
            connection.execute(_sql("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)", new, old))
            connection.execute(_sql("INSERT INTO {} SELECT * FROM {}", new, old))
            connection.execute(_sql("ALTER TABLE {} ADD PRIMARY KEY (id)", new))
        folder.mkdir(parents=True, exist_ok=True)

    @saying()
    def switch(self, folder: Path) -> None:
        """Point the view to this build at once: it always has a table, and keeps who may read it."""
        statement, names = "{} AS SELECT id, vector FROM {}", (self.name, self._table(folder))
        with self.connect() as connection:
            try:
                connection.execute(_sql(f"CREATE OR REPLACE VIEW {statement}", *names))
            except _library().errors.InvalidTableDefinition:  # another number of dimensions is another type
                with connection.transaction():
                    connection.execute(_sql("DROP VIEW {}", self.name))
                    connection.execute(_sql(f"CREATE VIEW {statement}", *names))
                log.warning(
                    "the view %s was made anew, as its vectors have other dimensions: grant other roles again what they"
                    " may do with it",
                    self.name,
                )

    @saying()
    def drop(self, folder: Path) -> None:
        """Drop the table."""
        with self.connect() as connection:
            connection.execute(_sql("DROP TABLE IF EXISTS {}", self._table(folder)))
        super().drop(folder)

    def _table(self, folder: Path) -> str:
        return self.place(self.name, folder)

    def connect(self) -> Any:
        """Connect; raises `UserError` where no server with the extension answers."""
        library = _library()
        try:
            connection = library.connect(self.dsn, autocommit=True)
        except library.Error as error:
            raise UserError(f"index.dsn={self.dsn!r}: {str(error).strip()}; PostgreSQL must run there") from error
        try:
            connection.execute("SET client_min_messages = warning")
            # A server that only reads, as a standby, refuses the other statement also where there is nothing to make.
            if not connection.execute("SELECT FROM pg_extension WHERE extname = 'vector'").fetchall():
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except library.Error as error:
            connection.close()
            raise UserError(
                f"index.dsn={self.dsn!r}: {str(error).strip()}; pgvector must be installed at that server, and where"
                " this role may not make extensions, its administrator types CREATE EXTENSION vector in the database"
            ) from error
        return connection


class PgVectors(Vectors):
    """A connection to one build's table.

    Raises `UserError` where there is no such table.
    """

    def __init__(self, connection: Any, table: str, recipe: PgVector) -> None:
        self.connection, self.table, self.recipe = connection, table, recipe
        self.width, self._mending = 0, threading.Lock()
        self._widen(recipe.ef_search)
        found = connection.execute(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'vector'", [f'"{table}"']
        ).fetchone()
        if found is None:
            raise UserError(f"the table {table} is not there; index again with rebuild=true")
        self.dim = int(found[0])

    def _widen(self, width: int) -> None:
        """Search the graph at least that wide from now on: it returns no more documents than it searches wide."""
        if self.recipe.hnsw and self.width < (width := min(width, WIDEST)):
            self._ask(f"SET hnsw.ef_search = {int(width)}")
            self.width = width  # never narrower again, as another thread may be asking for more

    def _ask(self, statement: Any, values: Sequence[Any] = ()) -> Any:
        """Ask, once more by another connection where the server has ended this one: a service goes on after a restart.

        Raises `UserError` as long as no server is there.
        """
        connection = self.connection
        try:
            return connection.execute(statement, values)
        except _library().OperationalError:
            if not connection.closed:
                raise
        with self._mending:
            if self.connection is connection:
                made = self.recipe.connect()
                if self.width:
                    made.execute(f"SET hnsw.ef_search = {int(self.width)}")
                self.connection = made
        return self.connection.execute(statement, values)

    @saying()
    def upsert(self, ids: Sequence[str], vectors: Float32[np.ndarray, "N D"]) -> None:
        """Copy rows to the server, and merge them by id."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute(_sql("CREATE TEMP TABLE staged (LIKE {}) ON COMMIT DROP", self.table))
            with cursor.copy("COPY staged (id, vector) FROM STDIN") as copy:
                for name, vector in zip(ids, vectors, strict=True):
                    copy.write_row((name, _text(vector)))
            merge = "INSERT INTO {} SELECT * FROM staged ON CONFLICT (id) DO UPDATE SET vector = EXCLUDED.vector"
            cursor.execute(_sql(merge, self.table))

    @saying()
    def delete(self, ids: Sequence[str]) -> None:
        """Delete rows."""
        self.connection.execute(_sql("DELETE FROM {} WHERE id = ANY(%s)", self.table), [list(ids)])

    @saying()
    def search(self, queries: Float32[np.ndarray, "Q D"], k: int) -> list[list[tuple[str, float]]]:
        """Ask for each query; pgvector's <#> is the negative inner product."""
        ask = "SELECT id, -(vector <#> %s::vector) FROM {} ORDER BY vector <#> %s::vector LIMIT %s"
        statement = _sql(ask, self.table)
        self._widen(k)
        out = []
        for query in queries:
            asked = _text(query)
            found = self._ask(statement, [asked, asked, k]).fetchall()
            out.append([(str(name), float(score)) for name, score in found])
        return out

    @saying()
    def fetch(self, ids: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Read rows."""
        statement = _sql("SELECT id, vector::text FROM {} WHERE id = ANY(%s)", self.table)
        held = dict(self._ask(statement, [list(ids)]).fetchall())
        out = np.full((len(ids), self.dim), np.nan, np.float32)
        for place, name in enumerate(ids):
            if name in held:
                out[place] = json.loads(held[name])
        return out

    @saying()
    def count(self) -> int:
        """What PostgreSQL counts."""
        return int(self._ask(_sql("SELECT count(*) FROM {}", self.table)).fetchone()[0])

    @saying()
    def save(self) -> None:
        """Build the graph, if one is wanted; after the rows, which is faster."""
        if self.recipe.hnsw:
            statement = "CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw (vector vector_ip_ops)"
            self.connection.execute(_sql(statement, f"{self.table}_hnsw", self.table))

    def close(self) -> None:
        """Disconnect."""
        self.connection.close()


def _text(vector: Float32[np.ndarray, " D"]) -> str:
    return "[" + ",".join(map(repr, vector.tolist())) + "]"


def _sql(statement: str, *names: str) -> Any:
    """Put names into a statement, quoted."""
    sql = _library().sql
    return sql.SQL(statement).format(*(sql.Identifier(name) for name in names))


def _library() -> Any:
    try:
        import psycopg
        import psycopg.sql
    except ImportError as error:
        raise UserError("index=pgvector needs psycopg: pip install 'hardneg[pgvector]'") from error
    return psycopg
