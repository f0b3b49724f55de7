"""hardneg renew: one command for a schedule, from new data to a judged index beside the live one."""

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
Asked again after a kill or an error it goes on where it was; two at a time are refused. The gate looks at split.test,
or at split.dev where that is null.

exit code: 0, a new build is ready (or live), or there is nothing new; 1, the gate says no, or what came out was live
and was rolled back; 2, bad input or a failure; 128 + signal, interrupted.
"""


def main(arguments: Sequence[str]) -> None:
    """Run what is not done yet."""
    given = _parser().parse_intermixed_args(arguments)
    from hardneg.serving.index_folder import IndexFolder

    root = IndexFolder(given.index).live().root  # a folder that is no index is refused before more is imported
    from hardneg.ab.report import Plan
    from hardneg.renew.renewing import renew_in

    plan = Plan(cluster_positives=given.cluster_positives, gate=gate.of(given))
    if code := renew_in(root, given.words, plan, given.switch, given.anyway):
        sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardneg renew",
        description="Renew a live index: bring its vectors up to the data, mine with its model, train on, build an"
        " index beside it, compare the two query by query, and stop before the switch. Results lie in INDEX/renewals.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("index", type=Path, help="folder of the index")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="of hardneg train, on top of experiment=renew, the live checkpoint's encoder and the data of the index",
    )
    parser.add_argument(
        "--switch",
        action="store_true",
        help="have the new build answer if the gate lets it through, else the live model's with the new documents",
    )
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="also where the live model came out of these data and settings, or what came out of them was rolled back",
    )
    parser.add_argument("--cluster-positives", action="store_true", help="join queries that share a relevant document")
    gate.add_options(parser, delta=DELTA, lost=LOST)
    return parser
