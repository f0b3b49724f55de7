"""hardneg wandb-view: what it saves on a server, and what it says where it cannot."""

from __future__ import annotations

import json
import re
import sys

import pytest

from hardneg.matrix.telemetry import METRICS
from hardneg.runlog import wandb_panels

# Metrics that runs log, and the section that shows them.
LOGGED = {
    "Retrieval": ["val/ndcg@10", "val/recall@100", "train/loss", "test/ndcg@10"],
    "Optimiser": ["train/lr", "train/grad_norm"],
    "Negatives by source": [f"negatives/bm25/{key}" for key in ("loss", "margin", "kept", "filtered", "count")],
    "Mining": [
        *("mining/mined/kept", "mining/mined/recall", "mining/mined/staleness"),
        *("mining/change/ndcg@10", "alarms/mined/kept"),
    ],
}


def panels_of(spec):
    """The panels of a saved workspace by section, or of a report in one list, as (kind, config, layout)."""
    if "section" in spec:
        found = spec["section"]["panelBankConfig"]["sections"]
        return {one["name"]: one["panels"] for one in found}
    grids = [block for block in spec["blocks"] if block["type"] == "panel-grid"]
    titles = [block["children"][0]["text"] for block in spec["blocks"] if block["type"] == "heading"]
    panels = [grid["metadata"]["panelBankSectionConfig"]["panels"] for grid in grids]
    return dict(zip(titles, panels, strict=True))


def shows(panel, metric):
    config = panel["config"]
    if config.get("useMetricRegex"):
        return re.search(config["metricRegex"], metric) is not None
    return metric in config["metrics"]


@pytest.mark.parametrize(("words", "kind"), [([], "project-view"), (["--report", "--group", "first"], "runs")])
def test_a_view_shows_what_runs_log(hardneg, server, words, kind):
    done = hardneg("wandb-view", "--name", "Mine", *words)
    (saved,) = server.views
    assert server.unknown == []
    assert (saved["type"], saved["displayName"]) == (kind, "Mine")
    assert (saved["entityName"], saved["projectName"]) == ("tester", "hardneg")
    assert done.stdout.startswith(f"{server.url}/tester/hardneg")
    found = panels_of(saved["spec"])
    assert list(found) == list(LOGGED)
    for section, metrics in LOGGED.items():
        for metric in metrics:
            assert any(shows(panel, metric) for panel in found[section]), f"{section} lacks {metric}"
        lines = [panel for panel in found[section] if "Line" in panel["viewType"]]
        assert lines and all(panel["config"]["xAxis"] == "trainer/global_step" for panel in lines)
    text = json.dumps(saved["spec"])
    assert "strategy_name" in text and "loss_id" in text
    assert ('"first"' in text) == ("--group" in words)


def test_every_quantity_of_a_source_has_a_panel():
    shown = [panel.regex for panel in wandb_panels.sections("ndcg@10")["Negatives by source"]]
    for quantity in METRICS:
        assert any(re.search(pattern, f"negatives/any/{quantity}") for pattern in shown), quantity


def test_the_list_needs_no_server(hardneg):
    said = hardneg("wandb-view", "--list", "--metric", "recall@100").stdout
    assert "val/recall@100" in said and "^negatives/[^/]+/loss$" in said


def test_what_stands_in_the_way_is_said(hardneg, monkeypatch):
    assert "no API key is configured: `wandb login`" in hardneg("wandb-view", code=2).stderr
    assert "logger.wandb.mode" not in hardneg("wandb-view", code=2).stderr
    assert "ndcg@ten" in hardneg("wandb-view", "--metric", "ndcg@ten", code=2).stderr
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    assert "pip install 'hardneg[view]'" in hardneg("wandb-view", code=2).stderr


def test_a_server_that_refuses_is_quoted(hardneg, server, monkeypatch):
    monkeypatch.delattr("wandb_standin.Handler.op_UpsertView2")
    said = hardneg("wandb-view", "--entity", "us", code=2).stderr
    assert "the view of us/hardneg could not be saved" in said and "UpsertView2" in said
