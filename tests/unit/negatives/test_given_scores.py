"""Scores that come with the data, or from a file: the same training as the same scores given by a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hardneg.data.dataset import Collate, TrainingRows
from hardneg.data.mix import Mix
from hardneg.data.readers.jsonl import Jsonl
from hardneg.data.readers.table import Table
from hardneg.data.sampler import Place
from hardneg.data.tokens import token_tables
from hardneg.data.training_set import TrainingSet
from hardneg.encoders.cross_encoder import CrossEncoder
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY, Towers
from hardneg.errors import ConfigError, DataError
from hardneg.filters.known_positives import KnownPositives
from hardneg.filters.teacher_score import TeacherScore
from hardneg.losses.cosent import CoSENT
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.kl import KL
from hardneg.losses.margin_mse import MarginMSE
from hardneg.matrix.candidates import Candidates
from hardneg.negatives.base import Setting
from hardneg.negatives.given import Given
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.random import Random
from hardneg.teachers import given_scores
from hardneg.teachers.base import Teacher
from hardneg.teachers.cross_encoder import CrossEncoderTeacher
from hardneg.teachers.file import FileTeacher
from hardneg.testing.synthetic import make_data
from hardneg.training.pair_module import PairCollate
from hardneg.training.teacher_scores import check_one_scale, check_scores

LINES = [
    {"query": "a", "pos": ["A"], "neg": ["B", "C"], "pos_scores": [2.5], "neg_scores": [-1, 0.5]},
    {"query": "b", "pos": ["B", "D"], "neg": ["A"], "pos_scores": [1, None], "neg_scores": [0.25]},
    {"query": "c", "pos": ["C"], "neg": ["E"]},
]
SCORES = {("a", "A"): 2.5, ("a", "B"): -1.0, ("a", "C"): 0.5, ("b", "B"): 1.0, ("b", "A"): 0.25}


def read(folder: Path, lines=LINES, **settings):
    path = folder / "flag.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Jsonl(str(path), dev_share=0, test_share=0, **settings).load()


def batch_of(training, source, cache, positives=1):
    """One batch of all queries, and the recipe that reads it."""
    source.prepare(Setting(training, {}, cache))
    recipe = Static(dim=8)
    tables = token_tables(training.data, recipe.tokenizer(training.data.corpus), recipe.query, recipe.document, cache)
    mixture = Mixture({"given": source}, ("positive", "given"), seed=0)
    rows = TrainingRows(training, mixture, positives)
    collate = Collate(*tables, training, mixture.has_teacher)
    return collate(rows.__getitems__([Place(0, row, 0) for row in range(len(rows))])), recipe


def gradients(training, source, cache, loss):
    """The loss of each query and the gradient of the word embeddings, with the same starting weights."""
    batch, recipe = batch_of(training, source, cache)
    torch.manual_seed(0)
    towers = Towers(recipe, recipe.build(recipe.tokenizer(training.data.corpus)))
    q, d = towers(batch.queries, QUERY), towers(batch.docs, DOCUMENT)
    value = loss(Candidates.own(q, d.view(len(batch), -1, d.shape[1]), batch, ("positive", "given")))
    value.sum().backward()
    return value.detach(), [weight.grad for weight in towers.parameters() if weight.grad is not None]


def scored_by_the_model(data, model):
    """The lines again, with the logits that `transformers` gives for each pair."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)

    def score(query, doc):
        with torch.no_grad():
            return network(**tokenizer(query, doc, return_tensors="pt")).logits[0, 0].item()

    lines = []
    for row in data.qrels["train"].query_rows.tolist():
        query = data.queries[row]
        qrels = data.qrels["train"]
        pos = data.corpus.take(qrels.docs[qrels.queries == row])
        neg = data.corpus.take(data.given[row][~np.isin(data.given[row], qrels.docs[qrels.queries == row])])
        scores = {"pos_scores": [score(query, doc) for doc in pos], "neg_scores": [score(query, doc) for doc in neg]}
        lines.append({"query": query, "pos": pos, "neg": neg, **scores})
    return lines


@pytest.mark.parametrize("loss", [KL(), MarginMSE()])
def test_gradients_are_those_of_the_same_scores_by_a_model(toy, bert, tmp_path, loss):
    torch.manual_seed(0)
    CrossEncoder.load(str(bert), 64).save(tmp_path / "model")
    lines = scored_by_the_model(toy, tmp_path / "model")[:12]
    bare = [{key: value for key, value in line.items() if "scores" not in key} for line in lines]
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    teacher = CrossEncoderTeacher(str(tmp_path / "model"), max_length=64, precision="32-true")
    by_file = TrainingSet(read(tmp_path / "with", lines))
    by_model = TrainingSet(read(tmp_path / "without", bare))
    assert by_model.data.scored is None
    value, grads = gradients(by_file, Given(3), tmp_path / "cache", loss)
    expected, wanted = gradients(by_model, Given(3, teacher), tmp_path / "cache", loss)
    assert len(grads) == len(wanted) > 0 and value.abs().sum() > 0.01
    torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-4)
    for grad, want in zip(grads, wanted, strict=True):
        assert grad.abs().sum() > 0
        torch.testing.assert_close(grad, want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("loss", [KL(), MarginMSE()])
def test_a_cross_encoder_learns_from_the_scores_too(bert, tmp_path, loss):
    training, source = TrainingSet(read(tmp_path)), Given(2)
    source.prepare(Setting(training, {}, tmp_path / "cache"))
    mixture = Mixture({"given": source}, ("positive", "given"), seed=0)
    rows, network = TrainingRows(training, mixture, 1), CrossEncoder.load(str(bert), 64)
    collate = PairCollate(network.tokens, training, mixture.has_teacher)
    batch = collate(rows.__getitems__([Place(0, row, 0) for row in range(len(rows))]))
    scores = network(*batch.pairs.inputs).unflatten(0, batch.doc_ids.shape)
    value = loss(Candidates.scored(scores, batch, ("positive", "given")))
    assert (value[:2] > 0).all() and value[2] == 0  # the third query's line has no scores
    value.sum().backward()
    assert network.model.classifier.weight.grad.abs().sum() > 0


def test_kl_and_margin_mse_are_their_formulas_over_the_scores_of_the_file(tmp_path):
    training = TrainingSet(read(tmp_path))
    batch, _ = batch_of(training, Given(2), tmp_path / "cache")
    student = torch.tensor([[0.9, 0.1, 0.3], [0.5, 0.4, 0.0], [0.2, 0.1, 0.0]])
    c = Candidates.scored(student, batch, ("positive", "given"))
    texts = [[training.data.corpus[doc] if doc >= 0 else "" for doc in row] for row in batch.doc_ids.tolist()]
    known = [[SCORES.get((query, text)) for text in row] for query, row in zip("abc", texts, strict=True)]
    kl, margins = [], []
    for row, scores in enumerate(known):
        held = [(i, s) for i, s in enumerate(scores) if s is not None]
        s = np.array([student[row, i].item() / 0.05 for i, _ in held])
        t = np.array([score for _, score in held])
        p, q = (np.exp(x - np.logaddexp.reduce(x)) if len(x) else x for x in (t, s))
        kl.append((p * np.log(p / q)).sum())
        lead = [(student[row, 0].item() - student[row, i].item() - (scores[0] - score)) ** 2 for i, score in held if i]
        margins.append(np.mean(lead) if lead else 0.0)
    assert KL()(c).tolist() == pytest.approx(kl, rel=1e-5) and kl[2] == 0 < kl[0]
    assert MarginMSE()(c).tolist() == pytest.approx(margins, rel=1e-5)


def test_each_positive_has_its_own_score_and_unscored_ones_have_none(tmp_path):
    training = TrainingSet(read(tmp_path))
    batch, _ = batch_of(training, Given(2), tmp_path / "cache", positives=2)
    found = {
        (query, training.data.corpus[doc]): score
        for query, docs, scores in zip("abc", batch.doc_ids.tolist(), batch.teacher.tolist(), strict=True)
        for doc, score in zip(docs, scores, strict=True)
        if doc >= 0
    }
    assert {pair: score for pair, score in found.items() if not np.isnan(score)} == pytest.approx(SCORES)
    assert {pair for pair in found if np.isnan(found[pair])} == {("b", "D"), ("c", "C"), ("c", "E")}


def test_scores_survive_the_mixing_of_sets(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        read(tmp_path / name)
    sets = {name: Jsonl(str(tmp_path / name / "flag.jsonl"), dev_share=0, test_share=0) for name in ("one", "two")}
    data = Mix(sets).load()
    for row, query in enumerate("abcabc"):
        docs = data.given[row]
        wanted = [SCORES.get((query, data.corpus[int(doc)]), np.nan) for doc in docs]
        assert data.scored.look_up(row, docs) == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"pos_scores": [1, 2]}, "'pos_scores' holds 2 scores for 1 documents"),
        ({"neg_scores": [1]}, "'neg_scores' holds 1 scores for 2 documents"),
        ({"neg_scores": [1, "high"]}, "not a number"),
        ({"neg_scores": [1, float("nan")]}, "not finite"),
        ({"prompt": 3}, "'prompt' is int"),
    ],
)
def test_wrong_scores_are_refused(tmp_path, line, says):
    with pytest.raises(DataError, match=f"flag.jsonl:1: .*{says}"):
        read(tmp_path, [{**LINES[0], **line}])


def test_scores_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"flag.jsonl:2: score 3 contradicts score 2.5 of the same query and document"):
        read(tmp_path, [LINES[0], {**LINES[0], "pos_scores": [3]}])
    assert read(tmp_path, [LINES[0], LINES[0]]).scored is not None
    assert read(tmp_path, [LINES[0], {**LINES[0], "pos_scores": [2.500001]}]).scored is not None


def test_margins_of_triplets_are_what_margin_mse_reads(tmp_path):
    lines = [{"query": "a", "positive": "A", "negative": "B", "score": 3.5}]
    lines += [{"query": "b", "positive": "B", "negative_1": "A", "negative_2": "C", "score": [1.0, 2.0]}]
    lines += [{"query": "c", "positive": "C", "negative": "A", "score": [5.0, 2.0]}]
    batch, _ = batch_of(TrainingSet(read(tmp_path, lines)), Given(2), tmp_path / "cache")
    margins = [sorted(s[0] - x for x in s[1:] if not np.isnan(x)) for s in batch.teacher.tolist()]
    assert margins == [[3.5], [1.0, 2.0], [3.0]]


def test_one_prompt_stands_before_every_query_and_several_are_left_out_with_a_word(tmp_path, caplog):
    caplog.set_level("INFO")
    data = read(tmp_path, [{**line, "prompt": "Find: "} for line in LINES])
    assert data.parts[0].query_prompt == "Find: " and "different prompts" not in caplog.text
    recipe = Static(dim=8)
    tokenizer = recipe.tokenizer(data.corpus, data.queries)
    with_it, _ = token_tables(data, tokenizer, recipe.query, recipe.document, tmp_path)
    without, _ = token_tables(data.without_prompts(), tokenizer, recipe.query, recipe.document, tmp_path)
    assert (with_it.lengths - without.lengths).tolist() == [len(tokenizer.encode("Find: ").ids)] * 3
    for prompts in (["Find: ", "Other: ", "Find: "], ["Find: ", None, "Find: "]):
        data = read(tmp_path, [{**line, "prompt": prompt} for line, prompt in zip(LINES, prompts, strict=True)])
        assert data.query_prompt is None and "all are left out" in caplog.text
        caplog.clear()


def test_data_without_scores_are_refused_before_anything_is_mined(tmp_path):
    data = read(tmp_path, [{key: value for key, value in line.items() if "scores" not in key} for line in LINES])
    with pytest.raises(ConfigError, match=r"loss=kl reads teacher scores, and the data 'flag' have none"):
        check_scores({"kl": KL()}, {}, {"given": Given(1)}, data)
    with pytest.raises(ConfigError, match=r"filter=teacher_score reads teacher scores"):
        check_scores({}, {"teacher_score": TeacherScore()}, {"given": Given(1)}, data)
    check_scores({"kl": KL()}, {"teacher_score": TeacherScore()}, {"given": Given(1)}, read(tmp_path))
    check_scores({"infonce": InfoNCE()}, {"known_positives": KnownPositives()}, {"given": Given(1)}, data)


def test_scores_of_a_source_that_the_loss_does_not_read_are_no_use_to_it(tmp_path):
    data = read(tmp_path, [{key: value for key, value in line.items() if "scores" not in key} for line in LINES])
    scored = Given(1, FileTeacher.__new__(FileTeacher))  # whoever it is
    sources = {"given": Given(1), "bm25": scored}
    check_scores({"kl": KL()}, {}, sources, data)
    check_scores({"kl": KL(sources=["bm25"])}, {}, sources, data)
    with pytest.raises(ConfigError, match=r"loss=kl .* \(bm25 has scores, but the loss does not read it\)"):
        check_scores({"kl": KL(sources=["given"])}, {}, sources, data)


def test_scores_in_the_data_are_not_compared_with_those_of_a_teacher(tmp_path):
    """A positive has the score of the first source with any, which here is the data's."""
    data = read(tmp_path)
    taught = Given(1, FileTeacher.__new__(FileTeacher))
    sources = {"given": Given(1), "bm25": taught}
    for losses in ({"kl": KL()}, {"kl": KL(sources=["bm25"])}):
        with pytest.raises(ConfigError, match=r"loss=kl reads scores of negatives.bm25.teacher, and negatives=given"):
            check_one_scale(losses, sources, data)
    check_one_scale({"kl": KL(sources=["given"]), "infonce": InfoNCE()}, sources, data)
    check_one_scale({"kl": KL()}, {"given": taught, "bm25": taught}, data)
    check_one_scale({"kl": KL()}, {"given": Given(1), "random": Random(1)}, data)
    bare = read(tmp_path, [{key: value for key, value in line.items() if "scores" not in key} for line in LINES])
    check_one_scale({"kl": KL()}, sources, bare)


def test_sets_of_a_mix_may_each_have_a_scale_of_their_own(tmp_path):
    """No row of it holds scores of both: one set is drawn from its own lists, the other from those of the teacher."""
    bare = [{key: value for key, value in line.items() if "scores" not in key} for line in LINES]
    for name, lines in {"web": LINES, "faq": bare}.items():
        (tmp_path / name).mkdir()
        read(tmp_path / name, lines)
    sets = {name: Jsonl(str(tmp_path / name / "flag.jsonl"), dev_share=0, test_share=0) for name in ("web", "faq")}
    apart = {"web": {"given": 1, "bm25": 0}, "faq": {"given": 0, "bm25": 1}}
    sources = {"given": Given(1), "bm25": Given(1, FileTeacher.__new__(FileTeacher))}
    check_one_scale({"kl": KL()}, sources, Mix(sets, k=apart).load())
    check_one_scale({"kl": KL(sets=["faq"])}, sources, Mix(sets).load())
    check_one_scale({"kl": CoSENT()}, sources, Mix(sets, k=apart).load())
    for losses, data in (
        ({"kl": CoSENT()}, Mix(sets, k=apart, batches="blended").load()),  # it compares rows with each other
        ({"kl": KL()}, Mix(sets).load()),
        ({"kl": KL(sets=["web"])}, Mix(sets).load()),
        ({"kl": KL()}, Mix(sets, k={"faq": apart["faq"]}).load()),
        ({"kl": KL()}, Mix({"web": sets["web"], "faq": sets["web"]}, k=apart).load()),  # positives have the data's
    ):
        with pytest.raises(ConfigError, match=r"loss=kl reads scores of negatives.bm25.teacher"):
            check_one_scale(losses, sources, data)
    with pytest.raises(ConfigError, match=r"loss=kl reads scores of negatives.bm25.teacher"):
        taught_first = dict(reversed(sources.items()))  # so that the positives of web have the teacher's
        check_one_scale({"kl": KL()}, taught_first, Mix(sets, k=apart).load())


@pytest.mark.parametrize("by", ["id", "text"])
def test_a_file_of_scores_is_a_teacher(tmp_path, by):
    data = read(tmp_path)
    names = (data.queries.ids, data.corpus.ids) if by == "id" else (data.queries.texts, data.corpus.texts)
    queries = dict(zip(data.queries.texts.to_pylist(), names[0].to_pylist(), strict=True))
    docs = dict(zip(data.corpus.texts.to_pylist(), names[1].to_pylist(), strict=True))
    rows = [f"{queries[query]}\t{docs[doc]}\t{score}" for (query, doc), score in SCORES.items()]
    path = tmp_path / "scores.tsv"
    path.write_text("\n".join(["query-id\tcorpus-id\tscore", *rows, "unknown\tother\t1"]) + "\n")
    bare = TrainingSet(read(tmp_path, [{k: v for k, v in line.items() if "scores" not in k} for line in LINES]))
    value, grads = gradients(bare, Given(2, FileTeacher(str(path))), tmp_path / "cache", KL())
    expected, wanted = gradients(TrainingSet(data), Given(2), tmp_path / "cache", KL())
    assert torch.equal(value, expected) and all(torch.equal(*pair) for pair in zip(grads, wanted, strict=True))


def test_scores_that_differ_by_rounding_do_not_contradict_each_other(tmp_path):
    """A model that scores a pair again in another batch gives it another last digit."""
    data = read(tmp_path)
    scores = ((0, 0.1), (0, 0.1000001), (1, 0), (1, 1e-6))
    lines = ["query-id\tcorpus-id\tscore", *(f"q0\td{doc}\t{score}" for doc, score in scores)]
    (tmp_path / "scores.tsv").write_text("\n".join(lines) + "\n")
    teacher = FileTeacher(str(tmp_path / "scores.tsv"))
    teacher.prepare(data, tmp_path)
    found = teacher.score(np.array([0], np.int32), np.array([[0, 1]], np.int32))
    np.testing.assert_array_equal(found, np.array([[0.1, 0]], np.float32))


def test_small_logits_beside_large_ones_differ_by_the_rounding_of_the_large_ones(tmp_path):
    """As MiniLM's cross-encoder scores a pair, of logits from -15 to 14, in a batch of 1 and in one of 32."""
    logits, again = (0.11599827, -11.2), 0.11600208
    row = {"query": "a", "pos": ["A"], "neg": ["B"], "pos_scores": [logits[0]], "neg_scores": [logits[1]]}
    data = read(tmp_path, [row, {**row, "pos_scores": [again]}])
    assert data.scored.look_up(0, np.array([0])) == np.float32(logits[0])
    lines = [f"q0\td{doc}\t{score}" for doc, score in ((0, logits[0]), (1, logits[1]), (0, again))]
    (tmp_path / "scores.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")
    FileTeacher(str(tmp_path / "scores.tsv")).prepare(data, tmp_path)
    (tmp_path / "scores.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", lines[0], lines[2]]) + "\n")
    with pytest.raises(DataError, match=r"scores.tsv:3: score 0.1160021 contradicts"):  # as of probabilities
        FileTeacher(str(tmp_path / "scores.tsv")).prepare(data, tmp_path)


def test_a_file_of_scores_that_does_not_fit_is_refused(tmp_path, caplog):
    data = read(tmp_path)
    with pytest.raises(ConfigError, match="there is no such file"):
        FileTeacher(str(tmp_path / "nothing.tsv"))
    for lines, says in (
        (["query-id\tscore", "q0\t1"], r"scores.tsv:2: no column 'corpus-id'"),
        (
            ["query-id\tcorpus-id\tscore", "x\ty\t1"],
            "none of its 1 pairs is of 'flag'; ids there are like 'q0' and",
        ),
        (["query-id\tcorpus-id\tscore", "q0\td0\thigh"], "scores.tsv:2: .*not a number"),
        (
            ["query-id\tcorpus-id\tscore", "q0\td1\t3", "q0\td0\t2", "q1\td0\t1", "q0\td0\t2.5"],
            "scores.tsv:5: score 2.5 contradicts score 2 of line 3, of the same query and document; keep one of",
        ),
        (
            ["query-id\tcorpus-id\tscore", "q0\td0\t1234.561", "q0\td0\t1234.589"],
            "scores.tsv:3: score 1234.589 contradicts score 1234.561 of line 2",
        ),
        (
            ["query-id\tcorpus-id\tscore", "q0\td0\t0.000002", "q0\td0\t0.000009"],  # probabilities
            "scores.tsv:3: score 9e-06 contradicts score 2e-06 of line 2",
        ),
    ):
        (tmp_path / "scores.tsv").write_text("\n".join(lines) + "\n")
        with pytest.raises(DataError, match=says):
            FileTeacher(str(tmp_path / "scores.tsv")).prepare(data, tmp_path)
    row = {"query-id": "q0", "corpus-id": "d0"}
    for scores, says in (
        ([1, "high"], r"list.json: item 2: .*not a number"),
        ([1, 2], r"list.json: item 2: score 2 contradicts score 1 of item 1,"),
    ):
        (tmp_path / "list.json").write_text(json.dumps([{**row, "score": score} for score in scores]))
        with pytest.raises(DataError, match=says):
            FileTeacher(str(tmp_path / "list.json")).prepare(data, tmp_path)
    (tmp_path / "scores.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t2\nq0\td0\t2.0\n")  # again: no harm
    teacher = FileTeacher(str(tmp_path / "scores.tsv"))
    teacher.prepare(data, tmp_path)
    found = teacher.score(np.array([0, 1], np.int32), np.array([[0, 1, -1], [0, 1, 2]], np.int32))
    assert found[0, 0] == 2 and np.isnan(found).sum() == 5
    assert "scores only 1 of 5 pairs that were asked for" in caplog.text


def test_a_score_of_texts_is_that_of_all_queries_and_documents_that_have_them(tmp_path):
    """A text that train and test share, or that the corpus has under two ids, is several rows."""
    data = make_data([(0, 0)], docs=["the text", "other", "the text "], queries=["what", "what", "who"])
    (tmp_path / "scores.csv").write_text("query,document,score\nwhat,the text,1.5\nwho,d1,2\n")
    teacher = FileTeacher(str(tmp_path / "scores.csv"))
    teacher.prepare(data, tmp_path)
    found = teacher.score(np.arange(3, dtype=np.int32), np.tile(np.arange(3, dtype=np.int32), (3, 1)))
    np.testing.assert_array_equal(found, [[1.5, np.nan, 1.5], [1.5, np.nan, 1.5], [np.nan, 2, np.nan]])


def test_scoring_that_was_interrupted_goes_on_where_it_was(tmp_path, monkeypatch):
    """Every block is scored once, and the scores are those of an uninterrupted run."""

    class Adds(Teacher):
        def __init__(self, patience):
            self.patience, self.asked = patience, []

        def identity(self):
            return {"teacher": "adds"}

        def score(self, queries, docs):
            if len(self.asked) == self.patience:
                raise KeyboardInterrupt
            self.asked += queries.tolist()
            return np.where(docs >= 0, queries[:, None] + docs, np.nan).astype(np.float32)

    monkeypatch.setattr(given_scores, "BLOCK", 1)
    training = TrainingSet(read(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        given_scores.given_scores(Adds(2), training, tmp_path / "cache")
    again, whole = Adds(-1), Adds(-1)
    found = given_scores.given_scores(again, training, tmp_path / "cache")
    assert again.asked == [2] and not list((tmp_path / "cache/work").iterdir())
    expected = given_scores.given_scores(whole, training, tmp_path / "other")
    assert whole.asked == [0, 1, 2]
    np.testing.assert_array_equal(found.pairs, expected.pairs)
    np.testing.assert_array_equal(found.scores, (found.pairs >> 32) + (found.pairs & 0xFFFFFFFF))
    assert len(found) == 8


def test_scored_pairs_without_negatives_give_their_grades_alone(tmp_path):
    """Graded similarity: every pair is a positive with its grade, and nothing is drawn."""
    (tmp_path / "sts.csv").write_text("sentence1,sentence2,score\na,A,4.5\nb,B,0\n")
    columns = {"query": "sentence1", "positive": "sentence2", "score": "score"}
    data = Table(
        path=str(tmp_path / "sts.csv"), columns=columns, positive_from=0.0, dev_share=0.0, test_share=0.0
    ).load()
    training, source = TrainingSet(data), Given(k=1)
    source.prepare(Setting(training, {}, tmp_path))
    rows = TrainingRows(training, Mixture({"given": source}, ("positive", "given"), seed=1))
    drawn = rows.__getitems__([Place(0, 0), Place(0, 1)])
    assert drawn.docs[:, 1].tolist() == [-1, -1] and drawn.teacher[:, 0].tolist() == [4.5, 0.0]
