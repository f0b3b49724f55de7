"""The contracts find what is broken: newcomers' parts, tested as test_contracts.py tests ours."""

from __future__ import annotations

import json

import newcomers
import pytest

from hardneg.testing import check_data, check_encoder, promises

BM25 = {"_target_": "hardneg.mining.bm25.BM25", "k1": 1.2, "b": 0.75, "language": None, "stopwords": None}
STORED = {"k": 2, "depth": 5, "pool": None, "sampling": "top", "documents": "all", "teacher": None, "relabel": None}
STORED |= {"miner": BM25}

GOOD = {
    "negatives/good_source": ("GoodSource", {"k": 3, "step": 2}),
    "loss/good_loss": ("GoodLoss", {"bias": 0.5, "weight": 1.0}),
    "filter/good_filter": ("GoodFilter", {"highest": 0.9, "at": "both"}),
}
BROKEN = {  # yaml -> class, arguments and the check that must fail
    "negatives/takes_positives": ("TakesKnownPositives", {"k": 2}, "never_draws_a_known_positive"),
    "negatives/forgets_twins": ("ForgetsTwins", {"k": 2}, "never_draws_a_known_positive"),
    "negatives/own_dice": ("HasItsOwnDice", {"k": 2}, "same_seed_epoch_and_query_draw_the_same"),
    "negatives/over_the_end": ("RunsOverTheEnd", {"k": 2}, "draws_k_rows_of_the_corpus"),
    "negatives/copies_lists": ("CopiesItsLists", STORED, "pickles_without_what_is_on_disk"),
    "negatives/own_documents": ("OffersOwnDocuments", {"hard": True}, "gives_no_row_its_own_documents"),
    "negatives/forgets_state": ("ForgetsItsState", {"size": 4}, "state_round_trips"),
    "negatives/silent": ("GoodSource", {"k": 3}, "every_argument_is_in_the_yaml"),
    "negatives/misspelt": ("GoodSource", {"k": 3, "step": 2, "stepp": 2}, "every_key_is_an_argument"),
    "loss/sees_masked": ("SeesMaskedColumns", {"weight": 1.0}, "masked_columns_do_nothing"),
    "loss/divides_by_nothing": ("DividesByNothing", {"weight": 1.0}, "a_row_without_negatives_is_harmless"),
    "loss/looks_at_places": ("LooksAtPlaces", {"weight": 1.0}, "order_of_columns_does_not_matter"),
    "filter/every_second_row": ("DropsEverySecondRow", {"at": "both"}, "rows_are_judged_alike"),
    "filter/drops_the_best": ("DropsTheBest", {"at": "both"}, "filtering_twice_changes_nothing"),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """Hold the newcomers to the contracts; return the promises that are broken by name, with what is said of them."""
    conf = tmp_path_factory.mktemp("newcomers") / "conf"
    for key, (cls, arguments, *_) in (GOOD | BROKEN).items():
        body = json.dumps({"_target_": f"newcomers.{cls}", **arguments})  # JSON is YAML
        (conf / key).parent.mkdir(parents=True, exist_ok=True)
        (conf / f"{key}.yaml").write_text(f"# @package {key.replace('/', '.')}\n{body}\n")
    misplaced = (conf / "filter" / "good_filter.yaml").read_text().replace("filter.good_filter", "filter.other")
    (conf / "filter" / "misplaced.yaml").write_text(misplaced)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDNEG_TARGETS", "newcomers.")
        for promise in promises(conf):
            try:
                promise.hold()
            except Exception as failure:
                found[str(promise)] = str(failure)
    return found


@pytest.mark.parametrize("key", BROKEN)
def test_what_is_broken_fails_its_check(key, failures):
    name, check = key.split("/")[1], BROKEN[key][2]
    assert f"={name} breaks a promise. Promised ({check}): " in failures[f"{name}-{check}"]


def test_a_yaml_under_another_key_fails(failures):
    assert "misplaced-file_is_named_like_its_key" in failures


def test_good_newcomers_pass(failures):
    guilty = {failure.split("-")[0] for failure in failures}
    assert guilty == {key.split("/")[1] for key in BROKEN} | {"misplaced"}, sorted(failures)


ENCODERS = {  # class -> the checks that must fail, and what is said
    "ReadsPadding": {"padding_changes_nothing": "padding is read"},
    "NormalisesOverTheBatch": {"padding_changes_nothing": "text 0 has another vector alone than beside longer ones"},
    "ForgetsToNormalise": {"gives_each_text_a_vector": "lengths of vectors: ["},
    "StartsAnyhow": {"starts_the_same_from_a_seed": "matrix.weight starts with other weights"},
    "ForgetsItsScale": {"comes_back_from_a_checkpoint": "the rebuilt tower embeds otherwise"},
    "IsRandom": {
        "padding_changes_nothing": "a text's vector differs from call to call",
        "texts_do_not_matter_to_each_other": "another order gives other vectors",
        "comes_back_from_a_checkpoint": "the rebuilt tower embeds otherwise",
    },
    "HasAnIdleWeight": {"every_weight_is_trained": "no gradient reaches idle"},
    "KeepsAnObject": {"settings_can_name_vectors": "TypeError: Object of type device is not JSON serializable"},
}
DATA = {
    "ShufflesAnew": {"loads_the_same_each_time": "loaded twice, the set differs"},
    "CountsFromOne": {"judges_what_there_is": "train: there is no document [12] among 12"},
    "JudgesTwice": {"judges_what_there_is": "train: a pair is judged twice"},
    "HasAnEmptySplit": {"every_split_has_a_positive": "nothing is relevant in dev"},
    "HasAnIdTwice": {"ids_are_unique": "document id 'd0' comes twice"},
    "HoldsAFunction": {"settings_can_be_sent": "Can't pickle"},
}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_broken_encoder_breaks_its_promise_and_no_other(name):
    assert_broken(check_encoder, name, ENCODERS[name])


@pytest.mark.parametrize("name", DATA)
def test_a_broken_data_set_breaks_its_promise_and_no_other(name):
    assert_broken(check_data, name, DATA[name])


def assert_broken(check, name, expected):
    with pytest.raises(AssertionError, match=f"^{name} breaks {len(expected)} of ") as failure:
        check(getattr(newcomers, name)())
    for promise, said in expected.items():
        assert f"Promised ({promise}): " in str(failure.value) and said in str(failure.value)


def test_what_cannot_be_made_at_all_is_told_once_and_so_is_a_group_without_promises():
    class Unreadable(newcomers.GoodData):
        def load(self):
            raise ValueError("line 3: no tab")

    class Wordless(newcomers.GoodEncoder):
        def tokenizer(self, corpus, queries=None):
            return None

    with pytest.raises(AssertionError, match=r"^Unreadable: load raised ValueError: line 3: no tab$"):
        check_data(Unreadable())
    with pytest.raises(AssertionError, match=r"^Wordless: tokenizer, build and forward raised "):
        check_encoder(Wordless())
    with pytest.raises(ValueError, match=r"yamls of encoder have no promises; groups are negatives, loss, filter"):
        promises("hardneg", "encoder")


def test_good_encoders_and_data_pass_and_what_is_neither_is_told():
    check_encoder(newcomers.GoodEncoder())
    check_data(newcomers.GoodData())
    with pytest.raises(AssertionError, match="must be an object of a class that derives from EncoderRecipe"):
        check_encoder(newcomers.GoodData())
    with pytest.raises(AssertionError, match="must have a method load"):
        check_data(newcomers.GoodEncoder())
