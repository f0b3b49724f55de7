"""hardneg renew: one command to run on a schedule, from new data to a tested index beside the live one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hardneg.ab import gate

DELTA, LOST = -0.01, 0.05

EPILOG = """examples:
  hardneg renew my-index
  hardneg renew my-index data=beir data.path=DIR trainer.max_epochs=2 --switch
  hardneg renew my-index loss=triplet negatives.mined.k=4 --gate-delta 0 --gate-slice -0.02

As a nightly job (cron):  0 3 * * *  hardneg renew /srv/my-index data=beir data.path=/srv/data --switch
After a kill or an error, run it again to resume; a second process at the same time is refused. The gate uses
split.test, or split.dev if that is null.

exit code: 0, a new build is ready (or live), or there is nothing new; 1, the gate refuses, or the result was live
before and was rolled back; 2, bad input or a failure; 128 + signal, interrupted.
"""


def main(arguments: Sequence[str]) -> None:
    """Run what is not done yet."""
    given = _parser().parse_intermixed_args(arguments)
    from hardneg.serving.index_folder import IndexFolder

    root = IndexFolder(given.index).live().root  # a folder that is no index is refused before more is imported
    from hardneg.ab.report import AbPlan
    from hardneg.renew.renewing import renew_in

    plan = AbPlan(cluster_positives=given.cluster_positives, gate=gate.of(given))
    if code := renew_in(root, given.words, plan, given.switch, given.anyway):
        sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg renew",
        description="Renew a live index: embed new documents, mine with its model, continue training, build a second"
        " index, compare the two query by query, and stop before the switch. Results are in INDEX/renewals.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("index", type=Path, help="folder of the index")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="arguments of hardneg train; they override experiment=renew, the live model's encoder and the data",
    )
    parser.add_argument(
        "--switch",
        action="store_true",
        help="go live with the new build if the gate allows it, otherwise with the live model and the new documents",
    )
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="renew even if the live model was trained with these data and settings, or the result was rolled back",
    )
    parser.add_argument(
        "--cluster-positives", action="store_true", help="put queries that share a relevant document in one cluster"
    )
    gate.add_options(parser, delta=DELTA, lost=LOST)
    return parser
