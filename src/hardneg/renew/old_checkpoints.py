"""A schedule must not fill the disk: checkpoints of earlier renewals go once no build of the index names them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from hardneg.renew.plan import Renewal
from hardneg.runs.folder import CHECKPOINTS
from hardneg.serving.builds import OURS

log = logging.getLogger(__name__)


def tidy(renewal: Renewal) -> None:
    """Remove the checkpoints of other renewals, but those that builds of this index were made with; reports stay.

    A checkpoint that another index uses must be copied elsewhere before.
    """
    used = {Path(str(build.manifest.source.get("ckpt_path"))).resolve() for build in renewal.index.builds()}
    used.add(Path(renewal.checkpoint).resolve())
    for folder in sorted(renewal.folder.parent.iterdir()):
        kept = (folder / "train" / CHECKPOINTS).resolve()
        others = OURS.fullmatch(folder.name) and folder != renewal.folder and kept.is_dir()
        if others and not any(kept in path.parents for path in used):
            log.info("checkpoints of an earlier renewal that no build was made with are removed: %s", kept)
            shutil.rmtree(kept, ignore_errors=True)
