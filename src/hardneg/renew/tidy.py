"""A schedule must not fill the disk: checkpoints of earlier renewals go once no build of the index names them."""

from __future__ import annotations

import shutil
from pathlib import Path

from hardneg.renew.plan import Renewal
from hardneg.serving.builds import OURS


def tidy(renewal: Renewal) -> None:
    """Remove the checkpoints of finished renewals but this one and those in use; reports and metrics stay."""
    used = {Path(str(build.manifest.source.get("ckpt_path"))) for build in renewal.index.builds()}
    for folder in renewal.folder.parent.iterdir():
        kept = folder / "train" / "checkpoints"
        finished = OURS.fullmatch(folder.name) and (folder / "renewal.json").is_file()
        if finished and folder != renewal.folder and not any(kept in path.parents for path in used):
            shutil.rmtree(kept, ignore_errors=True)
