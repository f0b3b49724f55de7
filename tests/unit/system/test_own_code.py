"""The code of a part that is not hardneg's is in the name of what is cached of it."""

from __future__ import annotations

import importlib

import pytest

from hardneg.data import open_set as open_set_module
from hardneg.data.open_set import open_set
from hardneg.data.toy import Toy
from hardneg.mining.pipeline import MiningRecipe
from hardneg.system import own_code

MINE = """
from dataclasses import dataclass
import numpy as np
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.filters.base import CandidateFilter

@dataclass(frozen=True)
class Lines:
    path: str
    def load(self):
        lines = [line.NAME() for line in open(self.path)]
        rows = np.arange(3)
        texts = Texts.of([str(n) for n in range(len(lines))], lines)
        return RetrievalData("lines", texts, texts, {"train": Qrels.of_relevant(rows, rows)})

class Rule(CandidateFilter):
    def __call__(self, c, positive_ids):
        return c.scores < 0.5
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write the module with this method of strings and import it anew, as another process would."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(method, folder="lines_of_mine"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "__init__.py").touch()
        (tmp_path / folder / "part.py").write_text(MINE.replace("NAME", method))
        own_code.code_of.cache_clear()
        importlib.invalidate_caches()
        module = importlib.import_module(f"{folder}.part")
        return importlib.reload(module)

    yield written
    own_code.code_of.cache_clear()


def test_a_large_set_is_read_anew_by_another_version_of_its_reader(mine, tmp_path, monkeypatch):
    monkeypatch.setattr(open_set_module, "WORTH_IT", 1)
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"Line {n}\n" for n in range(20)))
    first = open_set(mine("upper").Lines(str(file)), tmp_path / "cache")
    again = open_set(mine("upper").Lines(str(file)), tmp_path / "cache")
    other = open_set(mine("swapcase").Lines(str(file)), tmp_path / "cache")
    assert first.corpus[7].startswith("LINE 7") and other.corpus[7].startswith("lINE 7")
    assert len(list((tmp_path / "cache" / "data").glob("*/card.json"))) == 2 and again.corpus[7] == first.corpus[7]


def test_hardnegs_own_parts_are_named_as_before():
    assert own_code.code_of(Toy) is None
    assert own_code.with_code_of(Toy(), {"kind": "Toy"}) == {"kind": "Toy"}


def test_files_beside_the_module_count_and_other_packages_do_not(mine, tmp_path):
    part = mine("upper").Rule()
    before = own_code.with_code_of(part, {})
    (tmp_path / "elsewhere.py").write_text("x = 1")
    own_code.code_of.cache_clear()
    assert own_code.with_code_of(part, {}) == before
    (tmp_path / "lines_of_mine" / "helper.py").write_text("x = 1")
    own_code.code_of.cache_clear()
    assert own_code.with_code_of(part, {}) != before


def test_a_class_from_nowhere_has_no_code():
    kind = type("Cell", (), {"__module__": "__main_of_a_notebook__"})
    assert own_code.code_of(kind) is None


def test_a_mined_list_is_named_by_its_filters_code(mine, tangled):
    from hardneg.data.training_set import TrainingSet
    from hardneg.mining.bm25 import BM25

    def named(rule):
        recipe = MiningRecipe(BM25(), depth=5, documents="all", filters={"rule": rule})
        return recipe.identity(recipe.ranking(TrainingSet(tangled)))["filters"]["rule"]

    one, other = named(mine("upper").Rule()), named(mine("swapcase").Rule())
    assert one["filter"] == other["filter"] == "Rule" and one["code"] != other["code"]


def test_vectors_are_named_by_their_encoders_code(toy, tmp_path, monkeypatch):
    from newcomers import GoodEncoder

    from hardneg.encoders.static import Static
    from hardneg.encoders.towers import Towers
    from hardneg.retrieval.model import Model

    def named(recipe):
        tokenizer = recipe.tokenizer(toy.corpus)
        towers = Towers(recipe, recipe.build(tokenizer))
        return Model.over(toy, towers, recipe, tokenizer, "32-true", tmp_path).document_identity()

    assert "code" not in named(Static(dim=8, vocab_size=300)) and named(GoodEncoder())["code"]
