"""Qdrant at a server: names, alias, rights, the graph, and what is said when something is wrong."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import pytest

from hardneg.testing.synthetic import random_units

pytest.importorskip("qdrant_client")

from hardneg.config import classes
from hardneg.errors import ConfigError, UserError
from hardneg.serving.backends import qdrant_collection
from hardneg.serving.backends.qdrant import Qdrant

DIM = 8
UNITS = random_units(20, DIM).detach().numpy()


@pytest.fixture
def standin():
    """A server of the test's own: what it says and whom it lets in can be set."""
    from qdrant_standin import serving

    with serving() as server:
        yield server


def client(url):
    """Another client, as one that knows nothing of us."""
    from qdrant_client import QdrantClient

    return QdrantClient(url=url, api_key=os.environ.get("QDRANT_API_KEY"), check_compatibility=False)


def put(backend, folder, name="d"):
    vectors = backend.create(folder, DIM, 1)
    vectors.upsert([name], UNITS[:1])
    vectors.close()


def test_the_alias_follows_a_switch_and_goes_with_its_collection(store, tmp_path):
    from qdrant_client import models

    backend = store("qdrant_url")(str(tmp_path))
    other = client(backend.url)
    for build in ("aa", "bb", "aa"):
        put(backend, tmp_path / build / "v", build)
        backend.switch(tmp_path / build / "v")
        asked = models.QueryRequest(query=UNITS[0].tolist(), limit=3, with_payload=True)
        found = other.query_batch_points(backend.name, [asked])[0].points
        assert [point.payload for point in found] == [{"id": build}]
    backend.drop(tmp_path / "bb" / "v")
    assert other.count(backend.name).count == 1
    backend.drop(tmp_path / "aa" / "v")
    assert not other.collection_exists(backend.name)
    with pytest.raises(UserError, match=rf"the collection {backend.name}_[0-9a-f]{{8}}_aa is not there"):
        backend.open(tmp_path / "aa" / "v")
    backend.drop(tmp_path / "aa" / "v")  # again: after a kill in the middle


def test_two_indexes_of_one_name_share_no_collection(store, tmp_path):
    make = store("qdrant_url")
    one, other = (make(str(tmp_path / root)) for root in "ij")
    for backend in (one, other):
        put(backend, Path(backend.path) / "builds" / "aa" / "vectors")
    other.drop(tmp_path / "j" / "builds" / "aa" / "vectors")
    assert one.open(tmp_path / "i" / "builds" / "aa" / "vectors").count() == 1


@pytest.mark.parametrize(
    "url", ["http://me:secret@host:6333", "http://secret@host", "https://host/?api-key=secret", "http://host#secret"]
)
def test_a_key_in_the_url_is_refused_and_not_repeated(tmp_path, url):
    with pytest.raises(ConfigError, match="set QDRANT_API_KEY instead") as refused:
        Qdrant(str(tmp_path), url=url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"url": "host:6333"}, "must be http://HOST:PORT"),
        ({"url": ""}, "must be http://HOST:PORT"),
        ({"name": "a/b"}, "must be up to 200 letters, digits"),
        ({"name": "n" * 201}, "must be up to 200 letters"),
        ({"ef_search": 0}, "index.ef_search=0 must be 1 or more"),
    ],
)
def test_settings_are_checked_before_anything_is_asked(tmp_path, setting, says):
    with pytest.raises(ConfigError, match=says):
        Qdrant(str(tmp_path), **setting)


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_the_key_is_taken_from_the_environment_and_its_rights_are_tried_first(standin, tmp_path, monkeypatch):
    standin.store.keys = {"writes": True, "reads": False}
    backend = Qdrant(str(tmp_path), url=standin.url)
    for key, says in (
        (None, r"refused \(401\): Must provide an API key; set QDRANT_API_KEY to a key that may"),
        ("typo", r"refused \(401\): Invalid API key"),
        ("reads", r"refused \(403\): Forbidden: Global manage access is required; set QDRANT_API_KEY"),
    ):
        monkeypatch.setenv("QDRANT_API_KEY", key) if key else monkeypatch.delenv("QDRANT_API_KEY", raising=False)
        with pytest.raises(UserError, match=says):
            backend.check()
    monkeypatch.setenv("QDRANT_API_KEY", "writes")
    backend.check()
    assert standin.store.client.get_collections().collections == [] and not standin.store.client.get_aliases().aliases
    put(backend, tmp_path / "aa" / "v")
    assert "writes" not in str(backend.identity()) and classes.build({**backend.identity(), "path": "i"}).url
    monkeypatch.setenv("QDRANT_API_KEY", "reads")  # enough to search
    assert backend.open(tmp_path / "aa" / "v").search(UNITS[:1], 1)[0][0][0] == "d"


def test_a_server_that_is_not_there_or_is_another_is_said(standin, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"index.url={url}: .*; a Qdrant server must answer there"):
            Qdrant(str(tmp_path), url=url).check()
    with pytest.raises(UserError, match=r"the server refused \(404\)"):
        Qdrant(str(tmp_path), url=f"{standin.url}/elsewhere").check()
    backend = Qdrant(str(tmp_path), url=standin.url)
    put(backend, tmp_path / "aa" / "v")
    vectors = backend.open(tmp_path / "aa" / "v")
    backend.drop(tmp_path / "aa" / "v")
    with pytest.raises(UserError, match=r"the server refused \(404\): Not found: Collection `hardneg_"):
        vectors.search(UNITS[:1], 1)


def test_an_alias_that_is_a_collection_of_somebody_is_left_alone(qdrant_url, tmp_path):
    from qdrant_client import models

    other, name = client(qdrant_url), f"t{uuid.uuid4().hex[:8]}"
    other.create_collection(name, models.VectorParams(size=3, distance=models.Distance.COSINE))
    backend = Qdrant(str(tmp_path), url=qdrant_url, name=name)
    put(backend, tmp_path / "aa" / "v")
    with pytest.raises(UserError, match="already exists"):
        backend.switch(tmp_path / "aa" / "v")
    backend.drop(tmp_path / "aa" / "v")
    assert other.get_collection(name).config.params.vectors.size == 3
    other.delete_collection(name)


def test_a_build_is_measured_when_its_graph_is_finished(standin, tmp_path, monkeypatch):
    """A server scans what is not in the graph yet: recall right after loading would be that of exact search."""
    monkeypatch.setattr(qdrant_collection, "PAUSE", 0.0)
    vectors = Qdrant(str(tmp_path), url=standin.url).create(tmp_path / "aa" / "v", DIM, 1)
    standin.store.states = ["grey", "grey", "yellow", "green"]
    vectors.save()
    assert not standin.store.states
    woken = [body for method, _, body in standin.store.seen if method == "PATCH"]
    assert woken == [{"optimizers_config": {}}]
    standin.store.states = ["yellow", "red"]
    with pytest.raises(UserError, match=r"the collection hardneg_\w+ cannot be finished: ok"):
        vectors.save()


@pytest.mark.parametrize("hnsw", [True, False])
def test_a_graph_is_built_and_walked_or_neither(standin, tmp_path, hnsw):
    backend = Qdrant(str(tmp_path), url=standin.url, hnsw=hnsw, ef_search=33)
    vectors = backend.create(tmp_path / "aa" / "v", DIM, 1)
    vectors.search(UNITS[:1], 3)
    sent = {(method, path.rsplit("/", 1)[-1]): body for method, path, body in standin.store.seen}
    (created,) = (body for (method, _), body in sent.items() if method == "PUT")
    assert created["vectors"] == {"size": DIM, "distance": "Dot"}
    assert created.get("hnsw_config") == (None if hnsw else {"m": 0})
    (asked,) = sent["POST", "batch"]["searches"]
    assert asked["params"] == {"exact": not hnsw, "hnsw_ef": 33} and asked["limit"] == 3


def test_in_local_mode_the_settings_of_a_server_decide_nothing(tmp_path):
    one, other = Qdrant(str(tmp_path)), Qdrant(str(tmp_path), name="x", hnsw=False)
    assert one.identity() == other.identity() == {"_target_": "hardneg.serving.backends.qdrant.Qdrant"}
    assert one.incremental and not Qdrant(str(tmp_path), url="http://host:6333").incremental
