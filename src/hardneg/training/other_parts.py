"""Training on from a checkpoint with other sources or losses than it was written with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from hardneg.errors import ConfigError

log = logging.getLogger(__name__)

PARTS = ("sources.", "losses.")  # begin the names of what these hold: a queue, a temperature


def fit_parts(held: MutableMapping[str, Tensor], module: nn.Module) -> None:
    """Let a checkpoint's state hold what the sources and losses of this module hold, and of no others.

    What a new one holds is its own: a queue starts empty, as does one of another size. Raises `ConfigError` for a new
    one that has a weight to train, of which the optimiser's state in the checkpoint knows nothing.
    """
    own = {name: value for name, value in module.state_dict().items() if name.startswith(PARTS)}
    trained = {name for name, weight in module.named_parameters() if weight.requires_grad}
    for name in [name for name in held if name.startswith(PARTS) and name not in own]:
        del held[name]
    for part in dict.fromkeys(_part(name) for name in own):
        names = [name for name in own if _part(name) == part]
        if all(name in held and held[name].shape[:1] == own[name].shape[:1] for name in names):
            continue
        if new := sorted(trained & set(names)):
            raise ConfigError(
                f"ckpt_path: the checkpoint has no {new[0]}, which is trained here; to train its weights with other"
                " parts, begin a run from them: init_from=CHECKPOINT in place of ckpt_path"
            )
        log.info("the checkpoint holds no %s like this run's, which starts with its own", part)
        held.update({name: own[name] for name in names})


def same_weights(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where an optimizer's state in a checkpoint is of other weights than it has here.

    A hook of torch's, called before the state is taken up.
    """
    held, here = (
        [len(group["params"]) for group in groups] for groups in (state["param_groups"], optimizer.param_groups)
    )
    if held != here:
        raise ConfigError(
            f"ckpt_path: the checkpoint's optimizer has groups of {held} weights, and this run's has {here}; a learned"
            " temperature is one. Train the same ones, or begin a run from the encoder's: init_from=CHECKPOINT in place"
            " of ckpt_path"
        )


def _part(name: str) -> str:
    """The source or loss that a name belongs to, as sources.queue."""
    return ".".join(name.split(".")[:2])
