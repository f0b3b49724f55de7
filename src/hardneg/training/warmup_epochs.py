"""Whether a run lasts beyond the epochs that it trains without the negatives of its own model."""

from __future__ import annotations

from omegaconf import DictConfig

from hardneg.config import classes
from hardneg.data.same_set_batches import Order
from hardneg.errors import ConfigError
from hardneg.system import distributed
from hardneg.training.learning_rate import planned_steps


def check_warmup(cfg: DictConfig, order: Order) -> None:
    """Raise `ConfigError` where the run ends within `remine.warmup_epochs`, and would never mine.

    `cfg` has its batch already: only then is it known how many epochs `trainer.max_steps` makes. A run that goes on
    is let through.
    """
    warmup = cfg.remine.warmup_epochs
    if not warmup or cfg.ckpt_path or cfg.trainer.get("fast_dev_run"):
        return
    sources = classes.build_group(cfg.negatives, "negatives")
    following = [name for name, source in sources.items() if source.follows_model]
    width = cfg.batch_size * distributed.world_size()
    steps = planned_steps(cfg.trainer, order, width)
    without = planned_steps({**cfg.trainer, "max_epochs": warmup, "max_steps": -1}, order, width)
    if following and steps <= without:
        raise ConfigError(
            f"remine.warmup_epochs={warmup} is {without:,} steps here, and leaves none of the run's {steps:,} for"
            f" negatives={','.join(following)}; train longer or warm up less"
        )
