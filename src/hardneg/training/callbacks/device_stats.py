"""What the device and the machine are at while a run trains."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import lightning as L
from lightning.pytorch.accelerators.cpu import get_cpu_stats
from lightning.pytorch.callbacks import DeviceStatsMonitor

from hardneg.errors import ConfigError
from hardneg.training.trainer_state import logs_now


class DeviceStats(DeviceStatsMonitor):
    """Lightning's monitor, once a logged step, in its row, as `device/<statistic>`.

    Of a GPU's memory it keeps the totals: bytes allocated, reserved and active, now and at most, and how often memory
    ran out. `cpu_stats` adds the load of CPU, RAM and swap in percent. Lightning's own writes some 160 numbers, half of
    them a step too early.

    Raises `ConfigError` for `cpu_stats` without psutil.
    """

    def __init__(self, cpu_stats: bool = True) -> None:
        if cpu_stats and find_spec("psutil") is None:
            raise ConfigError("cpu_stats=true needs psutil: pip install 'hardneg[monitor]', or give cpu_stats=false")
        super().__init__(cpu_stats)

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Log nothing, unlike Lightning's callback: rows hold what there is after a step."""

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        """Log what there is, if this step has a row."""
        if logs_now(trainer):
            trainer.lightning_module.log_dict({f"device/{key}": value for key, value in self.stats(trainer).items()})

    def stats(self, trainer: L.Trainer) -> dict[str, float]:
        """What the device says of itself, and the CPU beside it."""
        device = trainer.strategy.root_device
        told = {} if device.type == "cpu" else trainer.accelerator.get_device_stats(device)  # type: ignore[attr-defined]
        kept = {key: value for key, value in told.items() if _total(key)}
        return {key: float(value) for key, value in (kept | (get_cpu_stats() if self._cpu_stats else {})).items()}


def _total(key: str) -> bool:
    """Whether it is one of the totals of a GPU's memory; what other accelerators say is short, and stays whole."""
    if not key.startswith(("active", "allocat", "inactive", "num_", "oversize", "requested", "reserved", "segment")):
        return True
    return key == "num_ooms" or key.endswith(("bytes.all.current", "bytes.all.peak"))
