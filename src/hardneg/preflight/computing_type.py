"""Which number type a run may compute in, and why not in another."""

from __future__ import annotations

from typing import Any

from hardneg.config import classes
from hardneg.errors import ConfigError

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed", "bf16-true")
SHORT = ("32", "bf16", "16")  # as Lightning has them too
WHY_NOT = {
    "64-true": "losses and scores are computed in float32, so it would cost twice the time and give no more digits",
    "16-true": "Adam's moments and its epsilon of 1e-8 leave float16's range, and weights become NaN",
}
WHY_NOT["64"] = WHY_NOT["64-true"]


def check_computing(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a type in which a model that only embeds does not compute: it would take float32."""
    parts = {"": node, **{f"{path}.": inner for path, inner in classes.targets(node) if path != "trainer"}}
    for path, part in parts.items():
        precision = str(part.get("precision") or "auto")
        if precision not in (*PRECISIONS[:-1], *SHORT):
            raise ConfigError(
                f"{path}precision={precision} is for training at most; what only embeds or scores takes one of"
                f" {', '.join(PRECISIONS[:-1])}"
            )


def check_precision(node: dict[str, Any]) -> None:
    """Raise `ConfigError` for a computing type in which training does not work."""
    trainer = node["trainer"]
    precision = str(trainer.get("precision", "auto"))
    if precision not in (*PRECISIONS, *SHORT):
        why = WHY_NOT.get(precision)
        raise ConfigError(
            f"trainer.precision={precision} {f'is not trained in: {why}' if why else 'is no precision'}; take one of"
            f" {', '.join(PRECISIONS)}"
        )
    if trainer.get("accelerator") == "cpu":
        check_float16(precision)


def check_float16(precision: str) -> None:
    """Raise `ConfigError` for float16 on a machine without a GPU, where Lightning would take another type."""
    if precision in ("16", "16-mixed"):
        raise ConfigError(
            f"trainer.precision={precision} computes in float16, which takes a GPU; on a CPU take bf16-mixed or 32-true"
        )
