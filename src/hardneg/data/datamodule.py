"""What Lightning asks for training batches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from hardneg.data.dataset import Drawn, TrainingRows
from hardneg.data.loader import ResumableLoader
from hardneg.data.same_set_batches import Order
from hardneg.data.sampler import EpochSampler
from hardneg.data.workers import workers
from hardneg.matrix.batch import Rows
from hardneg.system import distributed

log = logging.getLogger(__name__)


class Batches(L.LightningDataModule):
    """Serves training batches of `batch_size` queries per rank; can go on in the middle of an epoch.

    The position is this module's state and not the loader's: Lightning restores loader states only if nobody asked for
    the loader earlier, and `trainer.estimated_stepping_batches` (which every schedule reads) does.
    """

    def __init__(
        self,
        rows: TrainingRows,
        collate: Callable[[Drawn], Rows],
        batch_size: int,
        seed: int,
        num_workers: int | str = 0,
        order: Order | None = None,
    ) -> None:
        super().__init__()
        self.order = order or Order({"the data": len(rows)})
        self.rows, self.collate = rows, collate
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        self.loader: ResumableLoader | None = None
        self.position: dict[str, int] = {}
        # For checkpoints, whose reader may have nothing else of the run; loggers get it with the config.
        self.save_hyperparameters({"batch_size": batch_size, "ranks": distributed.world_size()}, logger=False)

    def train_dataloader(self) -> ResumableLoader:
        """Build this rank's loader; raises `ConfigError` where a set's queries do not fill one global batch."""
        ranks = distributed.world_size()
        self.order.check(self.batch_size, ranks)
        sampler = EpochSampler(len(self.rows), self.batch_size, self.seed, distributed.rank(), ranks, self.order)
        if len(self.order.sets) > 1:
            log.info("%s", self.order.told(self.batch_size * ranks))
        # Without a trainer, as in a test or a benchmark, batches stay where they are made.
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        devices = 1 if self.trainer is None else self.trainer.num_devices
        loader = DataLoader(
            self.rows,
            batch_sampler=sampler,  # type: ignore[arg-type]
            collate_fn=self.collate,  # type: ignore[arg-type]  # it gets what `__getitems__` returns, which is no list
            num_workers=workers(self.num_workers, device, devices),
            pin_memory=device.type == "cuda",
        )
        self.loader = ResumableLoader(loader, sampler, lambda: self.rows.mixture.version)
        self.loader.go_on(self.position)
        return self.loader

    def transfer_batch_to_device(self, batch: Rows, device: torch.device, dataloader_idx: int) -> Rows:
        """Copy while the host goes on; Lightning does so for tensors, and waits for everything else."""
        return batch.to(device, non_blocking=device.type not in ("cpu", "mps"))  # on MPS such copies race

    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch."""
        return dict(self.loader.position) if self.loader is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at this position, whether or not the loader exists already."""
        self.position = state_dict
        if self.loader is not None:
            self.loader.go_on(state_dict)
