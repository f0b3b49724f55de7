"""A generated world in which the full relevance is known, with a dial for how many relevant documents go unlabelled.

Concepts. An entity is a pair (given name, surname) out of two lists of `names` concepts, and has `attributes`; a
concept is a set of `synonyms` made-up words. A cell (given, sur, attribute) has one value. A statement says one cell in
words: a synonym for each concept, the value and the glue words of a template. A query asks for one cell, with synonyms
of its own and the glue of a question.

Neighbours. For every query `positives` + `neighbours` statements are planted, each in another document:
- labelled and hidden positives state the cell; a name is another synonym than the query's with chance
  `name_paraphrase`, an attribute with chance `attribute_paraphrase`;
- a lexical confuser has one of the three concepts exchanged and the other two in the query's own words;
- a semantic confuser has a name exchanged (so: a similar entity), and the other two always in other words.
Each of them could be mistaken for an answer, but a document is relevant if and only if it states the cell.

Dial. The share `false_negative_rate` of the `neighbours` are hidden positives and the rest are confusers. The counts of
single queries differ by at most one, so that the share over all queries is right to one statement. Turning the dial
leaves the queries as they are.

Documents. All have the same number of statements: what is left after planting is filled with cells nobody asks for.
Every concept recurs in train and in test, so a model learns the synonyms from train queries; BM25 cannot know them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from hardneg.data.ragged import Ragged
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.errors import ConfigError

_LABELLED, _HIDDEN, _LEXICAL, _SEMANTIC = range(4)
_SYLLABLES = [c + v for c in "bdfgjklmnprtvz" for v in "aeiou"]
_LAST = [s for s in _SYLLABLES if s[1] in "aou"]  # no suffix that an English stemmer cuts off ends in these
# which slot stands where: given name, surname, attribute, value; a number from 4 on is a glue word
_STATEMENTS = ((4, 2, 5, 0, 1, 6, 3), (0, 1, 7, 3, 8, 2), (3, 6, 4, 2, 9, 0, 1), (9, 0, 1, 5, 2, 7, 4, 3))
_QUESTIONS = ((10, 6, 4, 2, 5, 0, 1), (11, 7, 0, 1, 12, 2), (13, 2, 10, 0, 1))
_GLUE = 10
_TRIES = 1000
_POSSIBLE_WORDS = len(_SYLLABLES) ** 2 * len(_LAST)
_LEAST = {"queries": 1, "seed": 0, "positives": 1, "neighbours": 0, "names": 2, "attributes": 2, "synonyms": 2}
_MOST = {
    "false_negative_rate": 0.6, "lexical_share": 1, "name_paraphrase": 1, "attribute_paraphrase": 1, "dev_share": 1,
    "test_share": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Toy:
    """Ask for attributes of entities in a made-up language, with hidden positives at a known rate.

    `RetrievalData.truth` holds the labelled and the hidden positives of all queries, and `RetrievalData.given` each
    query's neighbours: the share `false_negative_rate` of them is relevant. A document has about
    `queries * (positives + neighbours) / docs` statements: few make it easy. Raises `ConfigError` on numbers that do
    not fit together.
    """

    docs: int = 2000
    queries: int = 600
    false_negative_rate: float = 0.0
    seed: int = 0
    positives: int = 1
    neighbours: int = 5
    lexical_share: float = 0.5
    names: int = 30
    attributes: int = 15
    synonyms: int = 2
    name_paraphrase: float = 0.4
    attribute_paraphrase: float = 0.8
    dev_share: float = 0.1
    test_share: float = 0.3

    def __post_init__(self) -> None:
        for key, least in _LEAST.items():
            if getattr(self, key) < least:
                raise ConfigError(f"data.{key}: must be at least {least}, not {getattr(self, key)}")
        for key, most in _MOST.items():
            if not 0 <= getattr(self, key) <= most:
                raise ConfigError(f"data.{key}: must be between 0 and {most}, not {getattr(self, key)}")
        if sum(self._held_out) >= self.queries:
            raise ConfigError("data.test_share: leaves no train queries; lower dev_share or test_share")
        if self._words > _POSSIBLE_WORDS:
            raise ConfigError(f"data.names: the language has no {self._words} words; lower names or synonyms")
        if self.docs < self._planted:
            raise ConfigError(
                f"data.docs: {self.docs} cannot hold one query's {self._planted} statements (positives + neighbours)"
            )
        if self.queries * 4 > self._cells:
            raise ConfigError(
                f"data.queries: {self.queries} are too many for {self._cells} cells (names * names * attributes); "
                f"set data.names to at least {math.ceil((self.queries * 4 / self.attributes) ** 0.5)}"
            )

    @property
    def _planted(self) -> int:
        return self.positives + self.neighbours

    @property
    def _held_out(self) -> tuple[int, int]:
        return round(self.queries * self.dev_share), round(self.queries * self.test_share)

    @property
    def _words(self) -> int:
        # given names, surnames and values are equally many
        return (3 * self.names + self.attributes) * self.synonyms + _GLUE

    @property
    def _cells(self) -> int:
        return self.names**2 * self.attributes

    def load(self) -> RetrievalData:
        """Generate the set; equal arguments give equal bytes."""
        streams = [np.random.default_rng(child) for child in np.random.SeedSequence(self.seed).spawn(6)]
        words = _Words(self, streams[0])
        asked = streams[1].choice(self._cells, self.queries, replace=False)
        synonyms = streams[1].integers(0, self.synonyms, (self.queries, 3))
        queries = words.say(asked, synonyms, _QUESTIONS, streams[1])

        kinds = self._kinds(streams[2])
        cells, spoken = self._plant(asked, synonyms, kinds, streams[3])
        places, rounds = self._places(streams[4])
        documents = self._documents(words, (cells, spoken, places), rounds, asked, streams[5])

        relevant = kinds <= _HIDDEN
        order = streams[2].permutation(self.queries)
        dev, test = self._held_out
        parts = {"train": order[dev + test :], "dev": order[:dev], "test": order[dev : dev + test]}
        row = np.repeat(np.arange(self.queries), kinds.shape[1]).reshape(kinds.shape)
        return RetrievalData(
            "toy",
            Texts.of([f"d{i}" for i in range(self.docs)], documents),
            Texts.of([f"q{i}" for i in range(self.queries)], queries),
            {name: _qrels(row, places, (kinds == _LABELLED) & np.isin(row, part)) for name, part in parts.items()},
            truth=_qrels(row, places, relevant),
            given=Ragged.of(row[kinds != _LABELLED], places[kinds != _LABELLED], self.queries),
        )

    def _kinds(self, rng: np.random.Generator) -> Int64[np.ndarray, "queries planted"]:
        """Choose what each query's statements are to be; what rounding leaves over is carried to the next query."""
        due = np.floor(np.arange(self.queries + 1) * self.false_negative_rate * self.neighbours + 0.5)
        hidden = np.diff(due).astype(np.int64)[rng.permutation(self.queries), None]
        lexical = rng.random((self.queries, self.neighbours)) < self.lexical_share
        kinds = np.where(lexical, _LEXICAL, _SEMANTIC)
        kinds[np.arange(self.neighbours) < hidden] = _HIDDEN
        return np.hstack([np.full((self.queries, self.positives), _LABELLED), kinds])

    def _plant(
        self, queries: np.ndarray, synonyms: np.ndarray, kinds: np.ndarray, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "queries planted"], Int64[np.ndarray, "queries planted 3"]]:
        """Choose each statement's cell and words: positives keep the cell, confusers land on one nobody asks for."""
        relevant = kinds <= _HIDDEN
        cells = np.repeat(queries[:, None], kinds.shape[1], axis=1)
        slot = np.where(kinds == _SEMANTIC, rng.integers(0, 2, kinds.shape), rng.integers(0, 3, kinds.shape))
        size = np.array([self.names, self.names, self.attributes])[slot]
        weight = self.names**slot
        bad = ~relevant
        base = cells.copy()
        for _ in range(_TRIES):
            if not bad.any():
                break
            old = base[bad] // weight[bad] % size[bad]
            cells[bad] = base[bad] + ((old + rng.integers(1, size[bad])) % size[bad] - old) * weight[bad]
            bad = ~relevant & np.isin(cells, queries)
        if bad.any():
            raise ConfigError(f"data.names: with {self.names} names some query has no cell for a confuser; use more")

        own = np.repeat(synonyms[:, None], kinds.shape[1], axis=1)
        other = (own + rng.integers(1, self.synonyms, own.shape)) % self.synonyms
        chances = np.array([self.name_paraphrase, self.name_paraphrase, self.attribute_paraphrase])
        reword = np.where(relevant[..., None], chances, kinds[..., None] == _SEMANTIC)
        spoken = np.where(rng.random(own.shape) < reword, other, own)
        exchanged = ~relevant[..., None] & (np.arange(3) == slot[..., None])
        return cells, np.where(exchanged, rng.integers(0, self.synonyms, own.shape), spoken)

    def _places(self, rng: np.random.Generator) -> tuple[Int64[np.ndarray, "queries planted"], int]:
        """Deal statements to documents in rounds: within a round no document is used twice, so loads stay equal."""
        per_round = self.docs // self._planted
        rounds = math.ceil(self.queries / per_round)
        dealt = [rng.permutation(self.docs)[: per_round * self._planted] for _ in range(rounds)]
        return np.concatenate(dealt).reshape(-1, self._planted)[: self.queries], rounds

    def _documents(
        self,
        words: _Words,
        planted: tuple[np.ndarray, np.ndarray, np.ndarray],
        size: int,
        queries: np.ndarray,
        rng: np.random.Generator,
    ) -> list[str]:
        """Fill every document up to `size` statements and write them out in random order."""
        cells, spoken, places = planted
        missing = np.repeat(np.arange(self.docs), size - np.bincount(places.ravel(), minlength=self.docs))
        filler = rng.integers(0, self._cells, len(missing))
        while (bad := np.isin(filler, queries)).any():
            filler[bad] = rng.integers(0, self._cells, int(bad.sum()))
        cells = np.concatenate([cells.ravel(), filler])
        spoken = np.concatenate([spoken.reshape(-1, 3), rng.integers(0, self.synonyms, (len(filler), 3))])
        statements = words.say(cells, spoken, _STATEMENTS, rng)
        order = np.lexsort([rng.random(len(cells)), np.concatenate([places.ravel(), missing])])
        return [" . ".join(statements[i] for i in one) for one in order.reshape(self.docs, size)]


class _Words:
    """The vocabulary of one world, all words different."""

    def __init__(self, recipe: Toy, rng: np.random.Generator) -> None:
        self.names, self.attributes, self.synonyms = recipe.names, recipe.attributes, recipe.synonyms
        codes = rng.choice(_POSSIBLE_WORDS, recipe._words, replace=False)
        head, last = np.divmod(codes, len(_LAST))
        first, second = np.divmod(head, len(_SYLLABLES))
        made = [_SYLLABLES[i] + _SYLLABLES[j] + _LAST[k] for i, j, k in zip(first, second, last, strict=True)]
        self.glue, self.content = made[:_GLUE], made[_GLUE:]

    def say(
        self, cells: np.ndarray, synonyms: np.ndarray, templates: Sequence[tuple[int, ...]], rng: np.random.Generator
    ) -> list[str]:
        """Put each cell into words with these synonyms, a value synonym and a template at random."""
        n = self.names
        value = cells * 7919 % 104_729 % n  # any fixed scattering does: a cell has one value
        concept = np.stack([cells % n, n + cells // n % n, 3 * n + cells // n**2, 2 * n + value], axis=-1)
        synonym = np.hstack([synonyms, rng.integers(0, self.synonyms, (len(cells), 1))])
        index = (concept * self.synonyms + synonym).tolist()
        which = rng.integers(0, len(templates), len(cells)).tolist()
        return [
            " ".join(self.glue[part - 4] if part > 3 else self.content[row[part]] for part in templates[t])
            for row, t in zip(index, which, strict=True)
        ]


def _qrels(row: np.ndarray, places: np.ndarray, keep: Bool[np.ndarray, "queries planted"]) -> Qrels:
    return Qrels.of_relevant(row[keep], places[keep])
