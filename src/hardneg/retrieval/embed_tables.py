"""Embedding whole tables for evaluation and mining."""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.data.tokens import TokenTable
from hardneg.encoders.encode import AUTO, budget, parts
from hardneg.encoders.towers import Towers
from hardneg.system import collectives
from hardneg.system.progress import Progress, progress

# How much larger parts may be than in training: nothing is kept for a backward pass. On a CPU caches set the limit.
WITHOUT_GRADIENT = {"cpu": 2, "cuda": 4}


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """The autocast context of a Lightning precision, outside a trainer."""
    kind = {"bf16": torch.bfloat16, "16": torch.float16}.get(str(precision).split("-")[0])
    return torch.autocast(device.type, kind) if kind and "mixed" in str(precision) else contextlib.nullcontext()


@torch.inference_mode()
def embed_rows(
    towers: Towers, table: TokenTable, side: str, precision: str, rows: np.ndarray, bar: Progress
) -> Float[Tensor, "N D"]:
    """Embed these rows on the towers' device, in float32.

    Rows of like length go together, whatever their order: little padding is computed.
    """
    tower = towers.tower(side)
    device = next(tower.parameters()).device
    out = torch.empty(len(rows), tower.dim, device=device)
    size = tower.tokens_at_once or WITHOUT_GRADIENT.get(device.type, 1) * budget(AUTO, device)
    training = tower.training
    tower.eval()
    with autocast(precision, device):
        for part in parts(torch.from_numpy(table.lengths[rows]), size):
            tokens = tower.read(table.batch(rows[part.numpy()])).to(device, non_blocking=True)
            out[part.to(device)] = tower(*tokens.inputs).float()
            bar.update(len(part))
    tower.train(training)
    return out


def embed_table(
    towers: Towers, table: TokenTable, side: str, precision: str, what: str, rows: np.ndarray | None = None
) -> Float[Tensor, "N D"]:
    """Embed these rows (null: all); each rank does a share and gets all."""
    rows = np.arange(len(table)) if rows is None else rows
    mine = rows[collectives.shard(len(rows))]
    with progress(len(mine), f"embed {what}", "texts") as bar:
        return collectives.gather_rows(embed_rows(towers, table, side, precision, mine, bar), len(rows))
