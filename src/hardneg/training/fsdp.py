"""Training what does not fit one device: weights, gradients and optimizer state split over all of them."""

from __future__ import annotations

from lightning.pytorch.strategies import ModelParallelStrategy

from hardneg.encoders.encode import AUTO
from hardneg.encoders.towers import Towers
from hardneg.system import split_weights


class FSDP2(ModelParallelStrategy):
    """Lightning's strategy for FSDP2, with every device a data-parallel one.

    Checkpoints hold whole weights in one file, as those of all other strategies do.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """Take all devices, now that their number is known."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def split(self, towers: Towers) -> None:
        """Split each tower by its blocks.

        Every rank must run them equally often, so that a batch is encoded in one part a side, whatever its lengths.
        """
        mesh = self.device_mesh["data_parallel"]
        bf16 = self.precision_plugin.precision == "bf16-mixed"
        for tower in towers.towers.values():
            split_weights.split_weights(tower, tower.blocks(), mesh, bf16)  # type: ignore[operator]
        if towers.tokens == AUTO:
            towers.tokens = None
