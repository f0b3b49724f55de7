"""Rules that measure with an encoder: a checkpoint of ours, or another encoder as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hardneg.data.tables import RetrievalData
from hardneg.encoders.base import EncoderRecipe
from hardneg.errors import ConfigError
from hardneg.pairs.base import PairFilter
from hardneg.retrieval.model import Model
from hardneg.teachers.encoder_choice import EncoderChoice


class ByEncoder(PairFilter):
    """Loads the encoder that a rule measures with.

    `ckpt_path` is a checkpoint of ours, `encoder` a recipe, as a group option describes one; `precision` is what it
    computes in. Raises `ConfigError` for both or none, and for a checkpoint that is not there.
    """

    collective: ClassVar[bool] = True

    def __init__(
        self, ckpt_path: str | None = None, encoder: EncoderRecipe | None = None, precision: str = "auto"
    ) -> None:
        name = type(self).__name__.lower()
        self._source = EncoderChoice(ckpt_path, encoder, precision, who=f"pairs={name}")
        if not self._source.chosen:
            raise ConfigError(
                "it needs an encoder: ckpt_path, a checkpoint of ours such as a model trained on all pairs, or"
                f" encoder, as in +encoder@pairs.{name}.encoder=minilm"
            )
        self._model: Model | None = None

    @property
    def model(self) -> Model:
        """The encoder, once `ready` has loaded it."""
        assert self._model is not None, "ready() comes first"
        return self._model

    def ready(self, data: RetrievalData, cache: Path, device: str = "auto") -> None:
        """Load the weights and tokenise, or open the tokens."""
        self._model = self._source.model(data, cache, device)

    def put_away(self) -> None:
        """Keep the weights in main memory."""
        self._source.put_away()

    def measured_by(self) -> dict[str, Any]:
        """The encoder's identity, weights included."""
        return {"measure": type(self).__qualname__, "model": self.model.identity()}
