"""The settings by which two recipes embed differently, whoever wrote them: a config, or what was read of a folder."""

from __future__ import annotations

from typing import Any

from hardneg.encoders.base import EncoderRecipe
from hardneg.encoders.pooling import LATENT_ATTENTION
from hardneg.encoders.purposes import Purpose, with_purpose


def differences(left: EncoderRecipe, right: EncoderRecipe) -> dict[str, tuple[Any, Any]]:
    """Return the settings by which two recipes embed differently, apart from weights, with both values."""
    before, after = _compared(left), _compared(right)
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in keys}


def _compared(recipe: EncoderRecipe) -> dict[str, Any]:
    """The settings that matter, where several ways to write one thing are one."""
    rounding = with_purpose(recipe, Purpose.ROUNDING)
    settings = {key: value for key, value in recipe.embedding_settings().items() if key not in rounding}
    if "lora" in settings and (settings["lora"] or {}).get("r") is None:
        settings["lora"] = None  # a config names the other settings of adapters that there are none of
    if settings.get("pooling") != LATENT_ATTENTION:
        settings.pop("latents", None)
    if isinstance(settings.get("dense"), list | tuple):  # a width may be left out, and is known by the weights
        settings["dense"] = [layer | {"in_features": None} for layer in settings["dense"]]
    return settings
