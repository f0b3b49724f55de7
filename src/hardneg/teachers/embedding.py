"""A bi-encoder whose vectors are learnt, as a loss's `teacher` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.base import EncoderRecipe
from hardneg.teachers.encoder_choice import EncoderChoice
from hardneg.teachers.stored_vectors import StoredVectors, stored_vectors


@dataclass(frozen=True)
class EmbeddingTeacher:
    """A checkpoint of ours (`ckpt_path`) or another `encoder`, as its own prompts, lengths and pooling make vectors.

    Prompts that come with the data replace those of a checkpoint, and not those of an `encoder` (see `EncoderChoice`).

    Vectors lie in the cache under all that decides them: weights, tokens, precision. Documents' vectors are shared with
    miners and other runs of this encoder. The weights are let go once the vectors are there.

    Raises `ConfigError` for both at once, and what else `EncoderChoice` refuses.
    """

    ckpt_path: str | None = None
    encoder: EncoderRecipe | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        self._choice()  # which refuses both at once, and a missing file

    @property
    def chosen(self) -> bool:
        """Whether a teacher is named."""
        return self._choice().chosen

    def vectors(self, training: TrainingSet, documents: str, cache: Path, device: str) -> StoredVectors:
        """Embed the training queries, and the `positives` or `all` documents, unless the cache has them.

        Each rank does a share. An interrupted attempt is continued.
        """
        return stored_vectors(self._choice().model(training.data, cache, device), training, documents, cache)

    def _choice(self) -> EncoderChoice:
        return EncoderChoice(self.ckpt_path, self.encoder, self.precision, who="a teacher of vectors")
