"""What filters need of the sources that they judge, of a teacher, and of a guide."""

from __future__ import annotations

from typing import Any

from hardneg.errors import ConfigError
from hardneg.filters.base import CandidateFilter
from hardneg.filters.guide import Guide
from hardneg.teachers.encoder_choice import EncoderChoice


def check_filters(filters: dict[str, Any], sources: dict[str, Any]) -> None:
    """Raise `ConfigError` for a filter that the sources cannot feed, or that does not say which encoder judges."""
    for name, rule in filters.items():
        if not isinstance(rule, CandidateFilter):
            raise ConfigError(f"filter.{name} is a {type(rule).__name__}, not a filter")
        if unknown := set(rule.sources) - {*sources, "in_batch"}:
            raise ConfigError(
                f"filter.{name}.sources names {', '.join(sorted(unknown))}, none of negatives=[{','.join(sources)}]"
            )
        if rule.needs_teacher and not any(source.may_have_teacher for source in sources.values()):
            raise ConfigError(
                f"filter={name} reads teacher scores, but none of negatives=[{','.join(sources)}] has a teacher; give"
                " one, as in teacher=cross_encoder teacher.model=FOLDER, or leave the filter out"
            )
        if isinstance(rule, Guide):
            check_guide(name, rule)


def check_guide(name: str, rule: Guide) -> None:
    """Raise `ConfigError` where no guide is named, or two are, or its checkpoint does not exist."""
    try:
        asked = EncoderChoice(rule.ckpt_path, rule.encoder, rule.precision, who="a guide")
    except ConfigError as error:
        raise ConfigError(f"filter.{name}: {error}") from error
    if not asked.chosen:
        raise ConfigError(
            f"filter.{name} has no guide: give a checkpoint, as filter.{name}.ckpt_path=RUN/checkpoints/best.ckpt, or"
            f" an encoder, as +encoder@filter.{name}.encoder=minilm"
        )
