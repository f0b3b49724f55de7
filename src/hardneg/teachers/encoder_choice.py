"""An encoder that is not the one in training: which it is, and its weights over the data that it embeds."""

from __future__ import annotations

from pathlib import Path

import torch

from hardneg.data.tables import RetrievalData
from hardneg.encoders import checkpoint
from hardneg.encoders.base import EncoderRecipe
from hardneg.errors import ConfigError
from hardneg.retrieval.model import Model
from hardneg.system import distributed


class EncoderChoice:
    """A checkpoint of ours (`ckpt_path`), or another `encoder`, a recipe, as a group option describes one.

    Prompts that come with the data replace those of a checkpoint, as where it is trained or evaluated on them (the
    checkpoint of such a run does not hold them), and not those of an `encoder`. `precision` is what it computes in.
    Without either, none is `chosen`. `who` embeds with it, for the error.

    Raises `ConfigError` for both at once, an `encoder` that is a name, and a checkpoint that is not there.
    """

    def __init__(
        self, ckpt_path: str | None, encoder: EncoderRecipe | None, precision: str = "auto", *, who: str
    ) -> None:
        if isinstance(encoder, str):
            raise ConfigError(
                f"encoder={encoder}: an encoder is chosen as a group here, with + and where it goes, as in"
                f" +encoder@negatives.mined.miner.encoder={encoder} or +encoder@filter.guide.encoder={encoder}"
            )
        if ckpt_path is not None and encoder is not None:
            raise ConfigError(f"{who} takes either ckpt_path or encoder, not both")
        if ckpt_path is not None and not Path(ckpt_path).is_file():
            inside = Path(ckpt_path) / "checkpoints" / "best.ckpt"
            said = f"that is a run's folder; take {inside}" if inside.is_file() else "there is no such file"
            raise ConfigError(f"ckpt_path={ckpt_path}: {said}")
        self.ckpt_path, self.encoder, self.precision = ckpt_path, encoder, precision
        self._model: Model | None = None
        self._data: RetrievalData | None = None  # that the model reads

    @property
    def chosen(self) -> bool:
        """Whether an encoder is named."""
        return self.ckpt_path is not None or self.encoder is not None

    def model(self, data: RetrievalData, cache: Path, device: str | torch.device = "auto") -> Model:
        """Load the weights and tokenise, or open the tokens; for the same data only bring the weights to the device."""
        where = distributed.device(device) if isinstance(device, str) else device
        if self._model is not None and self._data is data:
            self._model.towers.to(where)
        else:
            # What is drawn for these weights must not change those that the model in training starts from.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self._model, self._data = self._load(data, cache, where), data
        return self._model

    def put_away(self) -> None:
        """Keep the weights in main memory."""
        if self._model is not None:
            self._model.towers.cpu()

    def _load(self, data: RetrievalData, cache: Path, device: torch.device) -> Model:
        if self.ckpt_path is not None:
            trained = checkpoint.load(self.ckpt_path)
        else:
            assert self.encoder is not None, "none is chosen"
            trained = checkpoint.Trained.as_it_comes(self.encoder, data.corpus, data.queries)
            data = data.without_prompts()  # they are for a model trained by us; this recipe has its own
        return Model.of(trained, data, self.precision, cache, device)
