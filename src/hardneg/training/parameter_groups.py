"""Which weights the optimizer treats alike: by name, by layer, and by what an optimizer can take."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.optim import Optimizer

from hardneg.encoders.base import Tower
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.errors import ConfigError

REST = "rest"  # the weights that no group names
KNOWN = ("embeddings", "head", "loss")  # groups that need no `match`
OWN_KEYS = ("groups", "layer_decay")  # of conf/optimizer, beside the optimizer's own arguments
ORTHOGONAL = "pytorch_optimizer.Muon"
DECAY = "weight_decay"


@dataclass(frozen=True)
class ParameterGroups:
    """Settings of an optimizer for some of the weights, by group name; the first group that matches a weight has it.

    A group's settings are those of the optimizer (lr, weight_decay, ...) and `match`, a pattern or several over the
    names of weights, as in `*.attention.*`. Without one, `embeddings` are tables of tokens and positions, `head` is
    what comes after the last layer (poolings with weights, dense layers), and `loss` is what losses learn.

    `layer_decay` d gives the weights of block i of n the rate times d^(n-i), those before the first block d^(n+1), and
    leaves what comes after the last as it is (BEiT, arXiv:2106.08254); with groups it multiplies their rates.

    Raises `ConfigError` for settings that cannot be.
    """

    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    layer_decay: float | int | None = None
    orthogonal: bool = False  # the optimizer is Muon, for matrices within blocks, beside AdamW for all others

    def __post_init__(self) -> None:
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise ConfigError(f"optimizer.layer_decay must be above 0 and at most 1, or null, got {self.layer_decay}")
        for name, settings in self.groups.items():
            if name == REST or not isinstance(settings, Mapping) or not settings:
                raise ConfigError(
                    f"optimizer.groups.{name} must be settings of a group of weights, as in"
                    " 'optimizer.groups={head: {lr: 1e-3}}'"
                )
            if name not in KNOWN and not settings.get("match"):
                raise ConfigError(
                    f"optimizer.groups.{name} does not say which weights: add match, a pattern over their names, as in"
                    f" '*.{name}.*' (without one there are {', '.join(KNOWN)})"
                )

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> ParameterGroups:
        """Take them from the config of an optimizer."""
        found = {key: node[key] for key in OWN_KEYS if node.get(key) is not None}
        return cls(**found, orthogonal=node.get("_target_") == ORTHOGONAL)

    @property
    def plain(self) -> bool:
        """Whether all weights are treated alike, but for what is not decayed."""
        return not self.groups and self.layer_decay is None and not self.orthogonal

    def over(self, module: nn.Module, lr: float) -> list[dict[str, Any]]:
        """Return the groups as torch takes them; `lr` is the optimizer's. Of each only matrices are decayed.

        Biases, norms and temperatures are not pulled to zero, unless a group has a `weight_decay` of its own. Raises
        `ConfigError` where a group has no weights, and where there are no layers to tell apart.
        """
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if self.plain:
            matrices = [p for p in trained.values() if p.ndim >= 2]
            rest = [p for p in trained.values() if p.ndim < 2]
            both: list[dict[str, Any]] = [{"params": matrices}, {"params": rest, DECAY: 0.0}]
            return [group for group in both if group["params"]]
        parts = Parts.of(module)
        if self.layer_decay is not None and not parts.depth:
            raise ConfigError("optimizer.layer_decay is for encoders with layers, and this one has none; leave it out")
        out: dict[str, dict[str, Any]] = {}
        group_of = self.named(trained, parts)
        for name, weight in trained.items():
            key, settings = self._settings(name, weight, group_of.get(name, REST), parts, lr)
            out.setdefault(key, {"params": [], "name": key, **settings})["params"].append(weight)
        if self.orthogonal and not any(group["use_muon"] for group in out.values()):
            raise ConfigError("optimizer=muon is for the matrices of layers, and this encoder has none; take adamw")
        return list(out.values())

    def named(self, weights: Sequence[str] | Mapping[str, Any], parts: Parts) -> dict[str, str]:
        """Return the group of each weight that a group matches; raises `ConfigError` for a group without weights."""
        group_of: dict[str, str] = {}
        for group, settings in self.groups.items():
            mine = [name for name in weights if name not in group_of and self._matches(name, group, settings, parts)]
            if not mine:
                shown = ", ".join(list(weights)[:: max(len(weights) // 6, 1)][:6])
                said = settings.get("match") or group
                raise ConfigError(
                    f"optimizer.groups.{group} ({said}) matches no trained weight that no earlier group has;"
                    f" weights have names like {shown}"
                )
            group_of |= dict.fromkeys(mine, group)
        return group_of

    @staticmethod
    def _matches(name: str, group: str, settings: Mapping[str, Any], parts: Parts) -> bool:
        match = settings.get("match")
        if match is None:
            return parts.kind(name) == group
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in ([match] if isinstance(match, str) else match))

    def _settings(
        self, name: str, weight: nn.Parameter, group: str, parts: Parts, lr: float
    ) -> tuple[str, dict[str, Any]]:
        """The name of the torch group that a weight belongs to, and its settings."""
        settings = {key: value for key, value in self.groups.get(group, {}).items() if key != "match"}
        key = group
        if self.layer_decay is not None:
            layer = parts.layer(name)
            key += f"/layer_{layer}"
            settings["lr"] = settings.get("lr", lr) * self.layer_decay ** (parts.depth + 1 - layer)
        if self.orthogonal:
            settings["use_muon"] = weight.ndim == 2 and parts.kind(name) == "blocks"
            key += "" if settings["use_muon"] else "/adamw"
        if weight.ndim < 2 and DECAY not in settings:
            settings[DECAY] = 0.0
            key += "/no_decay"
        return key, settings


@dataclass(frozen=True)
class Parts:
    """What the weights of a module are parts of: how many blocks there are, and the block of those that are in one."""

    depth: int
    blocks: Mapping[str, int]
    tables: frozenset[str]
    after: frozenset[str]

    @classmethod
    def of(cls, module: nn.Module) -> Parts:
        """Look at the towers in a module, or at the model that scores pairs.

        The blocks are the list of modules that holds most weights; what a model registers behind it comes after it.
        """
        depth, blocks, after = 0, dict[str, int](), set[str]()
        for prefix, part in _stacks(module):
            names = [name for name, _ in part.named_parameters(prefix)]
            stack = _longest_list(part, prefix)
            numbers = {name: number for name in names if (number := _number(name, stack)) is not None}
            last = max((names.index(name) for name in numbers), default=-1)
            depth, blocks = max([depth, *numbers.values()]), blocks | numbers
            after |= set(names[last + 1 :])
        tables = {
            f"{name}.weight"
            for name, part in module.named_modules()
            if isinstance(part, nn.Embedding | nn.EmbeddingBag)
        }
        return cls(depth, blocks, frozenset(tables), frozenset(after - tables))

    def kind(self, name: str) -> str:
        """Tell what a weight is of: loss, blocks, embeddings, head, or other."""
        if name.startswith("losses."):
            return "loss"
        if name in self.blocks:
            return "blocks"
        if name in self.tables:
            return "embeddings"
        return "head" if name in self.after else "other"

    def layer(self, name: str) -> int:
        """The layer of a weight: its block from 1 on, 0 before the first, one more than there are after the last."""
        if name in self.blocks:
            return self.blocks[name]
        return self.depth + 1 if self.kind(name) in ("head", "loss") else 0


def _stacks(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield what is a stack of blocks, with its name: each tower, or the model that scores pairs."""
    found: dict[str, nn.Module] = {}
    found |= {name: part for name, part in module.named_modules() if isinstance(part, Tower | CrossEncoder)}
    yield from found.items() or [("", module)]


def _longest_list(part: nn.Module, prefix: str) -> str | None:
    """The name of the list of modules that holds most weights; None without one."""
    sizes = {
        name: sum(p.numel() for p in inner.parameters())
        for name, inner in part.named_modules(prefix=prefix)
        if isinstance(inner, nn.ModuleList)
    }
    return max(sizes, key=lambda name: sizes[name], default=None)


def _number(name: str, stack: str | None) -> int | None:
    """The number of the block that a weight is in, from 1 on."""
    if stack is None or not name.startswith(f"{stack}."):
        return None
    return int(name.removeprefix(f"{stack}.").partition(".")[0]) + 1


def make_optimizer(make: Any, groups: ParameterGroups, module: nn.Module) -> Optimizer:
    """Make an optimizer over the trained weights of a module."""
    given = getattr(make, "keywords", {})
    return make(groups.over(module, float(given.get("lr", 1e-3))))


def optimizer_alone(node: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an optimizer without its settings for groups of weights."""
    return {key: value for key, value in node.items() if key not in OWN_KEYS}
