"""A stand-in for a Qdrant server: the REST calls that the client makes for us, answered by Qdrant's local mode.

It is no server: there is no graph, no optimizer and no other process. What it does show is what goes over the wire, and
that the client understands itself: paths, bodies, statuses, and errors as Qdrant words them.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit


class Refused(Exception):
    """A status and what is said with it."""


class Store:
    """Answers by method and path; `keys` are the API keys (true: may write), `states` what a collection says next."""

    def __init__(self):
        from qdrant_client import QdrantClient, models

        self.models, self.lock = models, threading.RLock()
        self.client = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self.keys: dict[str, bool] = {}
        self.states: list[str] = []
        self.seen: list[tuple[str, str, dict]] = []

    def allow(self, key, method, path):
        if not self.keys:
            return
        if key not in self.keys:
            raise Refused(401, "Invalid API key or JWT" if key else "Must provide an API key")
        reads = method == "GET" or (path.endswith(("/query/batch", "/count", "/points")) and method == "POST")
        if not self.keys[key] and not reads:
            raise Refused(403, {"status": {"error": "Forbidden: Global manage access is required"}})

    def answer(self, method, path, body):
        self.seen.append((method, path, body))
        match (method, *[unquote(part) for part in path.strip("/").split("/")]):
            case ("GET", "collections"):
                return self.client.get_collections()
            case ("POST", "collections", "aliases"):
                return self.aliases(self.models.ChangeAliasesOperation(**body).actions)
            case ("GET", "collections", name, "exists"):
                return {"exists": self.client.collection_exists(name)}
            case ("PUT", "collections", name):
                given = self.models.CreateCollection(**body)
                return self.client.create_collection(name, given.vectors)
            case ("DELETE", "collections", name):
                return self.client.delete_collection(name)
            case (_, "collections", name, *rest):
                if not self.client.collection_exists(name):
                    raise Refused(404, {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}})
                return self.collection(method, name, "/".join(rest), body)
        raise Refused(404, "")

    def aliases(self, actions):
        """As a server does, refuse an alias with a collection's name; the local mode of older clients does not."""
        taken = {collection.name for collection in self.client.get_collections().collections}
        for action in actions:
            made = getattr(action, "create_alias", None)
            if made is not None and made.alias_name in taken:
                raise ValueError(f"Collection {made.alias_name} already exists")
        return self.client.update_collection_aliases(actions)

    def collection(self, method, name, rest, body):
        models, client = self.models, self.client
        match method, rest:
            case "GET", "":
                info = client.get_collection(name)
                return info.model_copy(update={"status": self.states.pop(0)}) if self.states else info
            case "PATCH", "":
                models.UpdateCollection(**body)
                return True
            case "PUT", "points":
                return client.upsert(name, models.PointsList(**body).points)
            case "POST", "points/delete":
                return client.delete(name, models.PointIdsList(**body))
            case "POST", "points/query/batch":
                asked = models.QueryRequestBatch(**body).searches
                for one in asked:
                    one.params = None  # local mode warns that it is exact whatever it is asked for
                return client.query_batch_points(name, asked)
            case "POST", "points":
                asked = models.PointRequest(**body)
                return client.retrieve(name, asked.ids, with_payload=asked.with_payload, with_vectors=asked.with_vector)
            case "POST", "points/count":
                return client.count(name)
        raise Refused(404, "")


@contextmanager
def serving():
    """Serve on the loopback; gives the url and the store."""
    from pydantic_core import to_jsonable_python

    store = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            path = urlsplit(self.path).path
            try:
                with store.lock:
                    store.allow(self.headers.get("api-key"), self.command, path)
                    result = store.answer(self.command, path, body)
                status, said = 200, {"result": to_jsonable_python(result), "status": "ok", "time": 0.0}
            except Refused as refused:
                status, said = refused.args
            except ValueError as error:
                status, said = 400, {"status": {"error": f"Wrong input: {error}"}}
            content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", store=store)
    finally:
        server.shutdown()
        server.server_close()
