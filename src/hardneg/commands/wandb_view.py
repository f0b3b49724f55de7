"""hardneg wandb-view: save a view that shows what each source of negatives does."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

EXAMPLES = """examples:
  hardneg wandb-view                                   # a workspace of the project hardneg
  hardneg wandb-view --project mine --group first      # only the runs of the sweep multirun/first
  hardneg wandb-view --report                          # the same panels as a report
  hardneg wandb-view --list                            # what it would show; needs no server
"""


def main(arguments: Sequence[str]) -> None:
    """Save the workspace or report and print its address; raises `UserError` where there is no server to save it on."""
    given = _parser().parse_args(arguments)
    from hardneg.retrieval.metrics import check as check_metrics
    from hardneg.runlog import wandb_panels

    check_metrics([given.metric])
    if given.list:
        for title, panels in wandb_panels.sections(given.metric).items():
            sys.stdout.write(f"{title}\n")
            for panel in panels:
                sys.stdout.write(f"  {panel.title}: {panel.metric or getattr(panel, 'regex', None)}\n")
        return
    entity = given.entity or os.environ.get("WANDB_ENTITY")
    kind = wandb_panels.report if given.report else wandb_panels.workspace
    sys.stdout.write(f"{wandb_panels.save(kind, entity, given.project, given.name, given.metric, given.group)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg wandb-view",
        description="Save a view of a W&B project: test and dev results, the health of the negatives by source, mining;"
        " runs grouped by strategy and loss, over seeds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--project", default="hardneg", help="W&B project, as in logger.wandb.project (default: %(default)s)")
    add("--entity", help="user or team that owns the project; default: WANDB_ENTITY, or that of your key")
    add("--name", default="Negatives by source", help="name of the view (default: %(default)s)")
    add("--group", help="only the runs of this sweep, named by the last part of its hydra.sweep.dir")
    add("--metric", default="ndcg@10", help="the dev metric that selects checkpoints (default: %(default)s)")
    add("--report", action="store_true", help="save a report instead of a workspace")
    add("--list", action="store_true", help="print sections and panels, and save nothing")
    return parser
