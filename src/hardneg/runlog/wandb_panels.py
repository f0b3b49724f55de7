"""A saved view of a W&B project: which panels are in which section, as a workspace or as a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hardneg.errors import UserError
from hardneg.runlog import wandb_mode
from hardneg.runlog.wandb_read import STEP

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Report
    from wandb_workspaces.workspaces import Workspace

GROUPED = ("strategy_name", "loss_id")  # config keys: one line per arm, over its seeds
INSTALL = "hardneg wandb-view needs wandb-workspaces: pip install 'hardneg[view]'"


@dataclass(frozen=True)
class Curve:
    """A quantity over steps: one metric by name, or those of all sources by a regular expression."""

    title: str
    metric: str | None = None
    regex: str | None = None


@dataclass(frozen=True)
class Bars:
    """One number per run from its summary, such as the best dev value."""

    title: str
    metric: str


Panel = Curve | Bars


def sections(best: str) -> dict[str, list[Panel]]:
    """Return the panels by section; `best` is the dev metric that chooses the checkpoint."""

    def by_source(where: str, *what: str) -> list[Panel]:
        return [Curve(f"{key.replace('_', ' ')}, by source", regex=f"^{where}/[^/]+/{key}$") for key in what]

    return {
        "Retrieval": [
            Bars(f"test {best}", f"test/{best}"),
            Bars(f"dev {best}, best", f"val/{best}.max"),
            Curve(f"dev {best}", metric=f"val/{best}"),
            Curve("dev, all metrics", regex="^val/[^/]+$"),
            Curve("training loss", metric="train/loss"),
        ],
        "Optimiser": [
            Curve("learning rate", metric="train/lr"),
            Curve("norm of the gradient, before clipping", metric="train/grad_norm"),
        ],
        "Negatives by source": [
            *by_source("negatives", "loss", "margin", "similarity", "kept", "filtered", "count", "above_positive"),
            *by_source("negatives", "easy", "swapped"),
            Curve("similarity of positives", regex="^positives/similarity$"),
            Curve("mean cosine of random pairs", regex="^train/random_cosine/"),
        ],
        "Mining": [
            *by_source(
                "mining", "recall", "recall_of_bm25", "kept", "above_positive", "nothing_found", "queries_short"
            ),
            *by_source("mining", "backfill", "overlap", "staleness"),
            Curve("dev, change since the round was mined", regex="^mining/change/"),
            Curve("alarms", regex="^alarms/"),
        ],
    }


def workspace(entity: str, project: str, name: str, best: str, group: str | None = None) -> Workspace:
    """Put the sections into a workspace, runs grouped by strategy and loss; `group` leaves only one sweep's runs."""
    ws = package()
    return ws.Workspace(
        name=name,
        entity=entity,
        project=project,
        sections=[
            ws.Section(name=title, panels=[_panel(panel) for panel in panels], is_open=True)
            for title, panels in sections(best).items()
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP),
        runset_settings=ws.RunsetSettings(
            filters=[ws.Metric("group") == group] if group else [],
            groupby=[ws.Config(key) for key in GROUPED],
            order=[ws.Ordering(ws.Summary(f"val/{best}.max"), ascending=False)],
        ),
    )


def report(entity: str, project: str, name: str, best: str, group: str | None = None) -> Report:
    """Put the sections into a report with a heading each; it asks the server for the project's runs."""
    ws = package()
    import wandb_workspaces.reports.v2 as wr

    runs = wr.Runset(
        entity=entity,
        project=project,
        name=group or project,
        filters=[ws.Metric("group") == group] if group else [],
        groupby=[f"config.{key}" for key in GROUPED],
    )
    blocks: list[Any] = [wr.TableOfContents()]
    for title, panels in sections(best).items():
        blocks += [wr.H2(title), wr.PanelGrid(runsets=[runs], panels=[_panel(panel) for panel in panels])]
    return wr.Report(entity=entity, project=project, title=name, blocks=blocks)


def save(
    make: Callable[..., Workspace | Report], entity: str | None, project: str, name: str, best: str, group: str | None
) -> str:
    """Save a `workspace` or `report` and return its address; raises `UserError` where no server takes it.

    Without an `entity` it is that of the key at hand.
    """
    import wandb

    package()
    wandb_mode.check_server()
    try:
        entity = entity or str(wandb.Api().default_entity)
        return make(entity, project, name, best, group).save().url
    except Exception as error:  # W&B's client raises many kinds of errors for a server that refuses or does not answer
        reason = " ".join(str(error).split())
        place = f"{entity or 'your entity'}/{project}"
        raise UserError(f"the view of {place} could not be saved: {reason}") from error


def _panel(panel: Panel) -> Any:
    import wandb_workspaces.reports.v2 as wr

    if isinstance(panel, Bars):
        return wr.BarPlot(title=panel.title, metrics=[panel.metric])
    if panel.metric is not None:
        return wr.LinePlot(title=panel.title, x=STEP, y=[panel.metric])
    return wr.LinePlot(title=panel.title, x=STEP, metric_regex=panel.regex)


def package() -> Any:
    """Import the optional package; raises `UserError` that says how to install it."""
    try:
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise UserError(INSTALL) from error
    return ws
