"""Writing checkpoints so that a kill at any moment leaves the earlier file or the new one, whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from hardneg.system.atomic_write import atomic_write


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a draft beside the checkpoint and renames it.

    Lightning writes to the system's temporary folder and moves the file. Where that folder is on another disk, as a
    /tmp in memory is, moving copies over the old file: a kill meanwhile leaves half a checkpoint, and nothing to go on
    from. It also holds the whole file in memory before it writes.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write it durably; raises as `torch.save` does, and leaves the earlier file then."""
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(place, alone=True) as draft:
            torch.save(checkpoint, draft)


def write_whole(trainer: L.Trainer) -> None:
    """Have a trainer write its checkpoints like this, unless it was given a plugin that writes them."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeCheckpoints()
