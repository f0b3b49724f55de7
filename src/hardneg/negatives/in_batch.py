"""In-batch negatives: the other rows' documents, on every rank."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hardneg.errors import ConfigError
from hardneg.matrix.batch import Batch
from hardneg.matrix.candidates import Candidates, Columns
from hardneg.matrix.other_encoder import OtherVectors, similarities
from hardneg.negatives.base import OnlineSource
from hardneg.system import collectives, distributed
from hardneg.teachers.base import Teacher
from hardneg.teachers.bi_encoder import BiEncoderTeacher


class InBatch(OnlineSource):
    """Offer all rows' positives, and with `hard` their drawn negatives too, to every other row (DPR, arXiv:2004.04906).

    Documents are gathered across ranks with gradient, so W ranks of B rows see the pool of one rank of W*B rows. With
    `logq` the positives are corrected for their popularity; drawn negatives do not depend on it.

    A `teacher` scores every query of the step against every candidate, so that in-batch negatives are distilled too
    (TAS-B, arXiv:2104.06967). It is a bi-encoder: its vectors are made once, before training, and a step looks them up.
    A loss that reads this source's negatives takes all scores from it, also the positive's.

    Raises `ConfigError` for a teacher that reads pairs.
    """

    of_batch = True
    of_all_rows = True

    def __init__(self, hard: bool = True, logq: bool = False, teacher: Teacher | None = None) -> None:
        super().__init__(logq)
        if teacher is not None and not isinstance(teacher, BiEncoderTeacher):
            raise ConfigError(
                f"a {type(teacher).__name__} cannot score every pair of every batch; an in-batch teacher is a"
                " bi-encoder: +teacher@negatives.in_batch.teacher=bi_encoder, and"
                " +encoder@negatives.in_batch.teacher.encoder=minilm or"
                " negatives.in_batch.teacher.ckpt_path=RUN/checkpoints/best.ckpt"
            )
        self.hard, self.teacher = hard, teacher
        self._vectors: OtherVectors | None = None

    @property
    def teaches_live(self) -> bool:  # type: ignore[override]
        """Whether it has a teacher."""
        return self.teacher is not None

    def read(self, vectors: OtherVectors) -> None:
        """Take the teacher's vectors; called once, before the first step."""
        self._vectors = vectors

    def teacher_scores(self, c: Candidates) -> Float[Tensor, "B N"]:
        """Return the teacher's similarity of every row and candidate, times its scale."""
        assert self.teacher is not None and self._vectors is not None, "read() comes first"
        return similarities(self._vectors, c) * self.teacher.scale

    def forward(self, q: Float[Tensor, "B D"], d: Float[Tensor, "B G D"], batch: Batch) -> Columns:
        """Offer W*B*G documents, or the W*B*P positives without `hard`."""
        slots = d.shape[1] if self.hard else batch.positives
        rows = torch.arange(len(q), device=q.device) + distributed.rank() * len(q)
        columns = Columns(
            emb=collectives.gather(d[:, :slots].flatten(0, 1)),
            ids=collectives.gather(batch.doc_ids[:, :slots].flatten()),
            owner=collectives.gather(rows.repeat_interleave(slots)),
        )
        if not self.logq:
            return columns
        positive = (collectives.gather(batch.source[:, :slots].flatten()) == 0) & (columns.ids >= 0)
        others = 1 - 1 / (len(q) * distributed.world_size())  # a row never meets its own
        expected = positive.sum() * others * self.share(columns.ids)
        return replace(columns, log_q=expected.log().masked_fill(~positive | (expected == 0), torch.nan))
