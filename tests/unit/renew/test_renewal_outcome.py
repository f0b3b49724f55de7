"""When a renewal that was judged is judged again."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from hardneg.ab.gate import Gate
from hardneg.ab.report import AbPlan
from hardneg.renew.outcome import RenewalOutcome, limits_of
from hardneg.renew.plan import NOTE, PLACE, Renewal
from hardneg.serving.builds import Build
from hardneg.serving.index_folder import IndexFolder

GATE = Gate(delta=-0.01)


@pytest.fixture
def renewal(tmp_path, monkeypatch):
    """A renewal of which only the folder, and the builds of its index, are looked at."""
    made = object.__new__(Renewal)
    for key, value in {"index": IndexFolder(tmp_path), "name": "one", "live": build(tmp_path, "live")}.items():
        object.__setattr__(made, key, value)
    (tmp_path / PLACE / "one").mkdir(parents=True)
    monkeypatch.setattr(IndexFolder, "builds", lambda self: [build(self.root, name) for name in ("old", "new")])
    return made


def build(root, name, backend="Faiss"):
    """A build of which only the backend is known."""
    made = Build(root, name)
    made.__dict__["manifest"] = SimpleNamespace(backend={"_target_": backend})
    return made


def noted(renewal, limits):
    note = {"state": "ready", "task": "t", "old": "old", "new": "new", "reasons": [], "limits": limits}
    (renewal.folder / NOTE).write_text(json.dumps(note))


def test_what_was_judged_by_queries_is_judged_again_by_clusters_of_them(renewal):
    noted(renewal, limits_of(AbPlan(gate=GATE)))
    assert RenewalOutcome.known(renewal, AbPlan(gate=GATE)) is not None
    assert RenewalOutcome.known(renewal, AbPlan(gate=GATE, cluster_positives=True)) is None
    assert RenewalOutcome.known(renewal, AbPlan(gate=Gate(delta=-0.02))) is None


def test_builds_of_another_backend_than_the_live_one_are_made_anew(renewal):
    noted(renewal, limits_of(AbPlan(gate=GATE)))
    object.__setattr__(renewal, "live", build(renewal.index.root, "live", "Qdrant"))
    assert RenewalOutcome.known(renewal, AbPlan(gate=GATE)) is None
