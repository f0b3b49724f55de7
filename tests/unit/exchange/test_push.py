"""An export goes to the hub: checked before anything is written, in one commit, with its card."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors as hub
from trained_encoders import NODES

from hardneg.commands import export
from hardneg.errors import ConfigError, UserError

REAL = huggingface_hub.HfApi


class StandIn:
    """The hub's client, which only notes what it is told; calls must be those that the real one takes."""

    calls: list[tuple[str, dict]]
    user: dict | Exception
    refusal: Exception | None

    def __init__(self, **about):
        inspect.signature(REAL).bind(**about)

    def _note(self, name, *given, **named):
        bound = inspect.signature(getattr(REAL, name)).bind(self, *given, **named).arguments
        type(self).calls.append((name, {key: value for key, value in bound.items() if key != "self"}))

    def whoami(self):
        self._note("whoami")
        if isinstance(self.user, Exception):
            raise self.user
        return self.user

    def create_repo(self, *given, **named):
        self._note("create_repo", *given, **named)
        if self.refusal is not None:
            raise self.refusal

    def create_branch(self, *given, **named):
        self._note("create_branch", *given, **named)

    def upload_folder(self, **named):
        folder = Path(named["folder_path"])
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        self._note("upload_folder", **named)
        type(self).calls.append(("files", {"names": files, "card": (folder / "README.md").read_text()}))
        return SimpleNamespace(commit_url=f"https://hub/{named['repo_id']}/commit/1")


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(StandIn, "calls", [], raising=False)
    monkeypatch.setattr(StandIn, "user", {"name": "me", "orgs": [{"name": "lab"}]}, raising=False)
    monkeypatch.setattr(StandIn, "refusal", None, raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", StandIn)
    return StandIn


def refused(status):
    answer = SimpleNamespace(status_code=status, headers={}, request=None)
    error = hub.HfHubHTTPError.__new__(hub.HfHubHTTPError)
    Exception.__init__(error, f"{status} says the server\nmore")
    error.response = answer
    return error


def test_a_folder_is_pushed_with_its_card(trained, client, tmp_path, capsys):
    words = ["--private", "--revision", "v2", "--message", "Second"]
    export.main([str(trained(NODES["static"])), str(tmp_path / "out"), "--push", "lab/finder", *words])
    calls = dict(client.calls)
    assert [name for name, _ in client.calls] == ["whoami", "create_repo", "create_branch", "upload_folder", "files"]
    assert calls["create_repo"]["repo_id"] == "lab/finder" and calls["create_repo"]["private"] is True
    assert calls["create_branch"]["branch"] == "v2" and calls["create_branch"]["exist_ok"] is True
    assert (calls["upload_folder"]["revision"], calls["upload_folder"]["commit_message"]) == ("v2", "Second")
    assert {"README.md", "modules.json", "model.safetensors"} <= calls["files"]["names"]
    assert 'SentenceTransformer("lab/finder")' in calls["files"]["card"]
    assert "pushed: https://hub/lab/finder/commit/1" in capsys.readouterr().out
    assert (tmp_path / "out" / "README.md").is_file()


def test_without_a_folder_nothing_is_left_here(trained, client, tmp_path, monkeypatch):
    path = trained(NODES["static"])
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    export.main([str(path), "--push", "me/finder"])
    calls = dict(client.calls)
    assert calls["create_repo"].get("private") is None and "create_branch" not in calls
    assert not Path(calls["upload_folder"]["folder_path"]).exists() and set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("repo", "user", "says"),
    [
        ("finder", None, "the name must be OWNER/NAME"),
        ("me/a b", None, "--push me/a b"),
        ("other/finder", None, "logged in as me, which cannot write to other; you can write to me, lab"),
        (
            "me/finder",
            hub.LocalTokenNotFoundError("no token"),
            "not logged in to the hub; run hf auth login, or set HF_TOKEN",
        ),
        ("me/finder", refused(401), r"the hub refuses \(401 says the server\); log in again"),
        ("me/finder", refused(503), "the hub answered: 503 says the server"),
        ("me/finder", hub.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE forbids"),
        ("me/finder", ConnectionError("no route"), r"cannot be reached \(no route\)"),
    ],
)
def test_name_and_login_are_checked_before_the_export(repo, user, says, trained, client, tmp_path, monkeypatch):
    if user is not None:
        monkeypatch.setattr(client, "user", user)
    path = trained(NODES["static"])
    with pytest.raises(UserError, match=says):
        export.main([str(path), str(tmp_path / "out"), "--push", repo])
    assert not (tmp_path / "out").exists() and {name for name, _ in client.calls} <= {"whoami"}


def test_what_the_hub_refuses_later_leaves_the_export(trained, client, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "refusal", refused(403))
    with pytest.raises(UserError, match="the hub refuses"):
        export.main([str(trained(NODES["static"])), str(tmp_path / "out"), "--push", "me/finder"])
    assert (tmp_path / "out" / "modules.json").is_file()


def test_words_for_the_hub_need_one(trained, tmp_path):
    path = str(trained(NODES["static"]))
    with pytest.raises(ConfigError, match="--private is for the hub; add --push OWNER/NAME"):
        export.main([path, str(tmp_path / "out"), "--private"])
    with pytest.raises(ConfigError, match="give a folder to write to, or --push"):
        export.main([path])
