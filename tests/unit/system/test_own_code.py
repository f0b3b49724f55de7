"""The code of a part that is not hardneg's is in the name of what is cached of it."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

from hardneg.config import classes
from hardneg.data import open_set as open_set_module
from hardneg.data.open_set import open_set
from hardneg.data.toy import Toy
from hardneg.data.training_set import TrainingSet
from hardneg.mining.bm25 import BM25
from hardneg.mining.fused import Fused
from hardneg.mining.pipeline import MiningRecipe
from hardneg.system import own_code

MINE = """
from dataclasses import dataclass
import numpy as np
from hardneg.data.tables import Qrels, RetrievalData, Texts
from hardneg.filters.base import CandidateFilter
from hardneg.mining.bm25 import BM25
from hardneg.teachers.base import Teacher

@dataclass(frozen=True)
class Lines:
    path: str
    code: str = "en"
    def load(self):
        lines = [line.METHOD() + self.code for line in open(self.path)]
        rows = np.arange(3)
        texts = Texts.of([str(n) for n in range(len(lines))], lines)
        return RetrievalData("lines", texts, texts, {"train": Qrels.of_relevant(rows, rows)})

class Rule(CandidateFilter):
    def __call__(self, c, positive_ids):
        return c.scores < 0.5

class Miner(BM25):
    pass

class Likes(Teacher):
    def identity(self):
        return {"teacher": "likes"}
    def score(self, queries, docs):
        return np.where(docs >= 0, 1.0, np.nan).astype(np.float32)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module and import it anew, as another process would."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(text, name="lines_of_mine.part"):
        file = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in [one for one in file.parents if one != tmp_path and one.is_relative_to(tmp_path)]:
            (folder / "__init__.py").touch()
        file.write_text(text)
        anew()
        for loaded in [one for one in sys.modules if one.partition(".")[0] == name.partition(".")[0]]:
            del sys.modules[loaded]
        return importlib.import_module(name)

    yield written
    anew()


@pytest.fixture
def mine(write):
    """The module above, with this method of strings."""
    return lambda method: write(MINE.replace("METHOD", method))


def anew():
    own_code.hashed.cache_clear()
    importlib.invalidate_caches()


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """A file that is large enough to be kept."""
    monkeypatch.setattr(open_set_module, "WORTH_IT", 1)
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"Line {n}\n" for n in range(20)))
    return str(file)


def test_a_large_set_is_read_anew_by_another_version_of_its_reader(mine, lines, tmp_path):
    first = open_set(mine("upper").Lines(lines), tmp_path / "cache")
    again = open_set(mine("upper").Lines(lines), tmp_path / "cache")
    other = open_set(mine("swapcase").Lines(lines), tmp_path / "cache")
    assert first.corpus[7].startswith("LINE 7") and other.corpus[7].startswith("lINE 7")
    assert len(list((tmp_path / "cache" / "data").glob("*/card.json"))) == 2 and again.corpus[7] == first.corpus[7]


def test_a_setting_of_any_name_keeps_its_place_beside_the_hash(mine, lines, tmp_path):
    part = mine("upper")
    english, german = (open_set(part.Lines(lines, code=code), tmp_path / "cache") for code in ("en", "de"))
    assert english.corpus[0].endswith("en") and german.corpus[0].endswith("de")


def test_hardnegs_own_parts_are_named_as_before():
    assert own_code.code_of(Toy) is None
    assert own_code.with_code_of(Toy(), {"kind": "Toy"}) == {"kind": "Toy"}


@pytest.mark.parametrize(
    "changed", ["lines_of_mine/helper.py", "lines_of_mine/deep/er.py", "lines_of_mine/__init__.py"]
)
def test_any_file_of_the_package_counts(changed, mine, tmp_path):
    before = own_code.code_of(mine("upper").Rule)
    (tmp_path / changed).parent.mkdir(exist_ok=True)
    (tmp_path / changed).write_text("x = 1")
    anew()
    assert own_code.code_of(sys.modules["lines_of_mine.part"].Rule) != before


def test_no_other_file_counts_and_none_that_cannot_be_read(mine, tmp_path):
    rule = mine("upper").Rule
    before, package = own_code.code_of(rule), tmp_path / "lines_of_mine"
    (tmp_path / "elsewhere.py").write_text("x = 1")
    (package / ".#part.py").symlink_to("me@host.123")  # what Emacs leaves beside a file with changes
    (package / ".ipynb_checkpoints").mkdir()
    (package / ".ipynb_checkpoints" / "part-checkpoint.py").write_text("x = 1")
    (package / "folder.py").mkdir()
    (package / "gone.py").symlink_to("nowhere")
    anew()
    assert own_code.code_of(rule) == before


def test_a_module_without_a_package_counts_alone(write, tmp_path):
    part = write(MINE.replace("METHOD", "upper"), "alone_of_mine")
    before = own_code.code_of(part.Rule)
    (tmp_path / "neighbour.py").write_text("x = 1")
    anew()
    assert own_code.code_of(part.Rule) == before
    assert own_code.code_of(write(MINE.replace("METHOD", "swapcase"), "alone_of_mine").Rule) != before


def test_a_base_class_in_another_package_of_the_user_counts(write):
    derived = "from base_of_mine.part import Rule\nclass Other(Rule):\n    pass\n"
    write(MINE.replace("METHOD", "upper"), "base_of_mine.part")
    before = own_code.code_of(write(derived, "derived_of_mine").Other)
    write(MINE.replace("METHOD", "swapcase"), "base_of_mine.part")
    assert own_code.code_of(write(derived, "derived_of_mine").Other) != before
    assert own_code.is_library("torch") and own_code.is_library("abc") and own_code.is_library("builtins")


def test_a_class_from_nowhere_has_no_code():
    assert own_code.code_of(type("Cell", (), {"__module__": "__main_of_a_notebook__"})) is None


def test_the_code_is_that_of_when_the_part_was_made(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("HARDNEG_TARGETS", "lines_of_mine.")
    mine("upper")
    rule = classes.build({"_target_": "lines_of_mine.part.Rule"})
    (tmp_path / "lines_of_mine" / "part.py").write_text("edited while the run is under way")
    late = own_code.code_of(type(rule))
    mine("upper")
    assert own_code.code_of(sys.modules["lines_of_mine.part"].Rule) == late


@pytest.mark.parametrize("kind", ["filter", "miner", "fused", "teacher"])
def test_a_mined_list_is_named_by_its_parts_code(kind, mine, tangled):
    def named(part):
        recipe = {
            "filter": lambda: MiningRecipe(BM25(), 5, "all", {"rule": part.Rule()}),
            "miner": lambda: MiningRecipe(part.Miner(), 5, "all", {}),
            "fused": lambda: MiningRecipe(Fused([BM25(), part.Miner()]), 5, "all", {}),
            "teacher": lambda: MiningRecipe(BM25(), 5, "all", {}, part.Likes()),
        }[kind]()
        return recipe.identity(recipe.ranking(TrainingSet(tangled)))

    one, again, other = (named(mine(method)) for method in ("upper", "upper", "swapcase"))
    assert one == again != other


def test_scores_of_given_negatives_are_named_by_their_teachers_code(mine, tangled, tmp_path):
    from hardneg.teachers.given_scores import given_scores

    training = TrainingSet(tangled)
    for method, count in (("upper", 1), ("upper", 1), ("swapcase", 2)):
        scores = given_scores(mine(method).Likes(), training, tmp_path / "cache")
        assert len(list((tmp_path / "cache" / "given").glob("*/scores.npy"))) == count
    assert np.nanmax(scores.scores) == 1.0


def test_vectors_are_named_by_their_encoders_code(toy, tmp_path):
    from newcomers import GoodEncoder

    from hardneg.encoders.static import Static
    from hardneg.encoders.towers import Towers
    from hardneg.retrieval.model import Model

    def named(recipe):
        tokenizer = recipe.tokenizer(toy.corpus)
        towers = Towers(recipe, recipe.build(tokenizer))
        return Model.over(toy, towers, recipe, tokenizer, "32-true", tmp_path).document_identity()

    assert own_code.KEY not in named(Static(dim=8, vocab_size=300)) and len(named(GoodEncoder())[own_code.KEY]) == 24


def test_what_comes_with_hardneg_or_its_packages_is_not_read(monkeypatch):
    """torch alone is two thousand files, and every command names one of its optimizers."""
    monkeypatch.setattr(own_code, "hashed", lambda packages: pytest.fail(f"{packages} are read"))
    classes.check_target("optimizer", {"_target_": "torch.optim.AdamW", "_partial_": True})
    classes.check_target("data", {"_target_": "hardneg.data.toy.Toy"})
