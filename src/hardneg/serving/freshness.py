"""Freshness: whether an index, the model at hand and the live corpus belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardneg.config.command_words import as_value, command_line, is_data
from hardneg.data.tables import Texts
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import UserError
from hardneg.serving import canaries, embedding_space
from hardneg.serving.backends.base import Vectors
from hardneg.serving.builds import Build
from hardneg.serving.compare_vectors import compare
from hardneg.serving.documents import Documents
from hardneg.serving.shards import Shard
from hardneg.serving.text_encoder import TextEncoder
from hardneg.system.counts_in_words import counted

EXAMPLES = 3  # ids or shards that a message names
COMPARED = 8  # vectors of each shard that are compared with the backend's whenever an index is opened


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at: `model`, `canaries`, `vectors`, `stored`, `count`, `files` or `corpus`."""

    about: str
    fresh: bool
    says: str


class StaleIndex(UserError):
    """An index that must not answer; the message says why and which command mends it."""


@dataclass(frozen=True)
class Freshness:
    """All findings about a build, and the command that mends what is stale."""

    build: str
    created: str
    findings: tuple[CheckResult, ...]
    mend: str

    @property
    def fresh(self) -> bool:
        """Whether no finding speaks against the index."""
        return all(finding.fresh for finding in self.findings)

    @property
    def about(self) -> str:
        """The build and its age."""
        return f"build {self.build} of {self.created[:16].replace('T', ' ')} UTC"

    def __str__(self) -> str:
        """One line for people."""
        if self.fresh:
            return f"fresh: {self.about} ({', '.join(finding.about for finding in self.findings)} checked)"
        return f"STALE: {self.about}: {'; '.join(finding.says for finding in self.findings if not finding.fresh)}"

    @property
    def in_short(self) -> str:
        """The same with the number of checks where all is fresh."""
        return f"fresh: {self.about} ({counted(len(self.findings), 'check')})" if self.fresh else str(self)

    def require(self, otherwise: str = "") -> None:
        """Raise `StaleIndex` unless all is fresh; `otherwise` is what else can be done than to mend it."""
        if not self.fresh:
            raise StaleIndex(f"{self}. To repair it: {self.mend}{otherwise}")


def examine(
    build: Build,
    encoder: TextEncoder,
    vectors: Vectors,
    corpus: Texts | None = None,
    sample: int = 1,
    most: int | None = None,
    files: bool = False,
    data: Sequence[str] = (),
) -> Freshness:
    """Look at everything: the manifest against the encoder, canaries, `sample` stored vectors of each shard.

    `corpus` is the live one, if it is at hand, and `data` are the words that name it, where the index was not made
    from it; `most` bounds the number of shards whose vectors are made again. With
    `files` everything that was written is read: the shards' files are hashed, and every vector in the backend is
    compared with its shard's. Otherwise a few vectors of every shard are compared, and the shards' own cards are
    trusted.
    """
    manifest, findings = build.manifest, []
    stored, now = manifest.model, embedding_space.of(encoder)
    findings.append(_model(stored, now))
    findings.append(_files(build, files))
    if encoder.dim == manifest.dim:
        findings.append(_canaries(manifest.canaries, encoder, stored[QUERY] == now[QUERY]))
    if build.intact:
        if encoder.dim == manifest.dim:
            findings.append(_sampled(build, encoder, vectors, sample, most))
        if build.backend.lossless:
            findings.append(_stored(build, vectors, None if files else COMPARED))
        if corpus is not None:
            findings.append(_corpus(build, corpus))
    findings.append(_count(manifest.corpus["count"], vectors.count()))
    return Freshness(build.name, manifest.created, tuple(findings), _mend(build, encoder, findings, data))


def _model(stored: dict[str, Any], now: dict[str, Any]) -> CheckResult:
    """Only documents' vectors are stored, so training the query tower on does not make them stale (ADORE)."""
    if different := embedding_space.differences(stored[DOCUMENT], now[DOCUMENT]):
        return CheckResult("model", False, f"the model is another than the one that made it: {', '.join(different)}")
    if different := embedding_space.differences(stored[QUERY], now[QUERY]):
        return CheckResult("model", True, f"documents as at indexing; queries differ in {', '.join(different)}")
    return CheckResult("model", True, "the model is the one that made it")


def _canaries(values: dict[str, Any], encoder: TextEncoder, with_queries: bool) -> CheckResult:
    kept, now = canaries.from_plain(values), canaries.sing(encoder)
    lowest = 1.0
    for side in (QUERY, DOCUMENT) if with_queries else (DOCUMENT,):
        lowest = min(lowest, float(canaries.cosines(kept[side], now[side][: len(kept[side])]).min()))
    fresh = lowest >= canaries.CLOSE
    said = f"the lowest cosine of the canaries is {shown(lowest)} (at least {canaries.CLOSE})"
    return CheckResult("canaries", fresh, said)


def shown(cosine: float) -> str:
    """Write a cosine with enough digits to show on which side of the bound it is: 0.9990 could be either."""
    for digits in range(4, 17):
        text = f"{cosine:.{digits}f}"
        if (float(text) < canaries.CLOSE) == (cosine < canaries.CLOSE):
            return text
    return repr(cosine)


def _sampled(build: Build, encoder: TextEncoder, vectors: Vectors, sample: int, most: int | None) -> CheckResult:
    """Encode some documents of each shard again; what a lossy backend stores is read from the shard itself."""
    rng = np.random.default_rng()  # another sample every time
    shards = build.shards
    chosen = np.arange(len(shards)) if most is None or most >= len(shards) else rng.permutation(len(shards))[:most]
    names, texts, stored, owner = [], [], [], []
    for number in chosen.tolist():
        rows = np.sort(rng.permutation(len(shards[number]))[:sample])
        held = shards[number].documents.texts
        names += held.ids.take(rows).to_pylist()
        texts += held.take(rows)
        stored.append(shards[number].vectors[rows])
        owner += [number] * len(rows)
    kept = vectors.fetch(names) if build.backend.lossless else np.concatenate(stored)
    cosines = canaries.cosines(np.nan_to_num(kept), encoder.documents(texts))
    owners = np.array(owner)
    lows = [(number, float(cosines[owners == number].min())) for number in chosen.tolist()]
    stale = [(number, shards[number], low) for number, low in lows if low < canaries.CLOSE]
    if not stale:
        looked = f"{counted(len(texts), 'vector')} of {counted(len(chosen), 'shard')}"
        return CheckResult("vectors", True, f"the model makes now what is stored, by {looked}")
    named = ", ".join(f"{number + 1} ({shard.name}, cosine {shown(low)})" for number, shard, low in stale[:EXAMPLES])
    return CheckResult(
        "vectors",
        False,
        f"stored vectors of {len(stale):,} of {counted(len(chosen), 'sampled shard')} are not what the model makes:"
        f" shard {named}" + (", ..." if len(stale) > EXAMPLES else ""),
    )


def _count(expected: int, stored: int) -> CheckResult:
    said = f"{counted(stored, 'vector')} stored for {counted(expected, 'document')}"
    return CheckResult("count", stored == expected, said)


def _stored(build: Build, vectors: Vectors, sample: int | None) -> CheckResult:
    """Compare the backend with what was embedded, for which no model is needed."""
    compared = list(compare(build, vectors, sample))
    looked = sum(one.looked for one in compared)
    if not (wrong := [(number, one) for number, one in enumerate(compared, start=1) if one.other]):
        all_of = f"{counted(looked, 'vector')} of {counted(len(compared), 'shard')}"
        return CheckResult("stored", True, f"stored as embedded, by {all_of}")
    named = ", ".join(f"{number} ({one.shard.name}, {one.other} of {one.looked})" for number, one in wrong[:EXAMPLES])
    others = sum(one.other for _, one in wrong)
    said = f"{others:,} of {counted(looked, 'stored vector')} are not those that were embedded: shard "
    return CheckResult("stored", False, said + named + (", ..." if len(wrong) > EXAMPLES else ""))


def _files(build: Build, read: bool) -> CheckResult:
    """Check the shards by their cards, or by all their files."""
    hashes = zip(build.shards, (one["hash"] for one in build.manifest.shards), strict=True)
    broken = [shard.name for shard, hashed in hashes if hashed != _hash(shard, read)]
    if broken:
        named = ", ".join(broken[:EXAMPLES])
        return CheckResult("files", False, f"not as written: {counted(len(broken), 'shard')} ({named})")
    all_of = f"{counted(len(build.shards), 'shard')} read, as written" if read else "all shards are those written"
    return CheckResult("files", True, all_of)


def _hash(shard: Shard, read: bool) -> str:
    try:
        return shard.file_hash() if read else shard.card["hash"]
    except FileNotFoundError:
        return ""


def _corpus(build: Build, corpus: Texts) -> CheckResult:
    live = Documents.of(corpus)
    documents = counted(len(live), "document")
    if live.hash == build.manifest.corpus["hash"]:
        return CheckResult("corpus", True, f"all of the corpus is in it as it is: {documents}")
    held = Documents.joined([shard.documents for shard in build.shards])
    if not (difference := live.against(held)):
        return CheckResult("corpus", True, f"all of the corpus is in it, in another order: {documents}")
    first = [*live.texts.ids.take(difference.fresh[:EXAMPLES]).to_pylist()]
    first += held.texts.ids.take(difference.extra[:EXAMPLES]).to_pylist()
    return CheckResult("corpus", False, f"of {documents} of the corpus: {difference} ({', '.join(first)}, ...)")


def _mend(build: Build, encoder: TextEncoder, findings: Sequence[CheckResult], data: Sequence[str]) -> str:
    """The shell command that makes it fresh; where stored vectors were found wrong it reuses none."""
    source = build.manifest.source
    stale = {finding.about for finding in findings if not finding.fresh}
    words = list(source.get("words") or ["data=...", "index=..."])
    if data:
        words = [*data, *(word for word in words if not is_data(word))]
    path = (encoder.ckpt_path if "model" in stale else source.get("ckpt_path")) or "CHECKPOINT"
    again = (
        ["rebuild=true"] if stale & {"canaries", "vectors", "stored", "files", "count"} and "model" not in stale else []
    )
    places = f"ckpt_path={as_value(path)}", f"index.path={as_value(build.root)}"
    return command_line("index", places[0], *words, places[1], *again)
