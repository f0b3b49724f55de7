"""Whether the teacher's scores that losses and filters read are there, and on one scale: once the data are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from hardneg.data.parts import Part
from hardneg.data.tables import RetrievalData
from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.losses.base import Loss, Weighed
from hardneg.negatives.base import OfflineSource
from hardneg.negatives.given import Given


def giving_scores(offline: Mapping[str, OfflineSource], data: RetrievalData) -> list[str]:
    """The sources whose negatives bring a teacher's scores with them."""
    graded = data.scored is not None
    return [name for name, source in offline.items() if source.has_teacher or (graded and source.may_have_teacher)]


def check_scores(
    losses: Mapping[str, Weighed],
    filters: Mapping[str, CandidateFilter],
    offline: Mapping[str, OfflineSource],
    data: RetrievalData,
) -> None:
    """Raise `ConfigError`, before anything is mined, where a loss or filter waits for scores that nobody gives.

    Only those of the sources that a loss reads are any use to it, or those of an in-batch teacher.
    """
    giving = giving_scores(offline, data)
    waiting = [
        f"loss={name}"
        for name, loss in losses.items()
        if loss.needs_teacher
        and not any(map(loss.reads, giving))
        and not (isinstance(loss, Loss) and loss.live_teacher)
    ]
    waiting += [f"filter={name}" for name, rule in filters.items() if rule.needs_teacher and not giving]
    if waiting:
        of = f" ({', '.join(giving)} has scores, but the loss does not read it)" if giving else ""
        raise ConfigError(
            f"{waiting[0]} reads teacher scores, and the data {data.name!r} have none with their negatives{of};"
            " add them (pos_scores and neg_scores in each line), or take teacher=file teacher.path=SCORES,"
            " or teacher=cross_encoder teacher.model=FOLDER"
        )


def check_one_scale(losses: Mapping[str, Weighed], offline: Mapping[str, OfflineSource], data: RetrievalData) -> None:
    """Raise `ConfigError` where a loss would compare the scores in the data with those of a teacher.

    Of several teachers the config tells (`preflight.losses.check_one_teacher`); whether the data have scores is known
    only now. Positives have the score of the first source that gives any. The sets of a mix are told apart, as each may
    have scores, or draw from a source, that others do not; but not where a loss compares rows of several.
    """
    teachers = {name: getattr(offline[name], "teacher", None) for name in giving_scores(offline, data)}
    of_data = {name for name, teacher in teachers.items() if teacher is None and isinstance(offline[name], Given)}
    for name, loss in losses.items():
        if not isinstance(loss, Loss) or not loss.needs_teacher or loss.live_teacher:
            continue
        for part, read in _compared(loss, offline, data, of_data):
            by_data = [source for source in read if source in of_data]
            by_teacher = [source for source in read if teachers[source] is not None]
            if by_data and by_teacher:
                raise ConfigError(
                    f"loss={name} reads scores of negatives.{by_teacher[0]}.teacher, and negatives={by_data[0]} brings"
                    f" those in the data {part.name!r}, on a scale of their own; have one teacher score both, as"
                    f" teacher=... does, or leave negatives.{by_teacher[0]}.teacher out"
                )


def _compared(
    loss: Loss, offline: Mapping[str, OfflineSource], data: RetrievalData, of_data: Collection[str]
) -> Iterator[tuple[Part, list[str]]]:
    """Yield, for each set that a loss reads, the sources whose scores it compares there; `of_data` have the data's."""
    giving = giving_scores(offline, data)
    read: list[str] = []
    for part in data.parts:
        if loss.sets is not None and part.name not in loss.sets:
            continue
        graded = data.scored is not None and data.scored.any_of(part.queries)
        scoring = [source for source in giving if graded or source not in of_data]
        drawn = [source for source in scoring if loss.reads(source) and part.k.get(source, offline[source].k)]
        here = [*scoring[:1], *drawn]  # the first gives the positives theirs
        read = [*read, *here] if loss.mixes_rows and data.blended else here
        yield part, read
