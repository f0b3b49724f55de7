"""A decoder-only reranker as the teacher, against the published way to ask it, pair by pair and without padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.llm_reranker import BGE, Qwen3
from hardneg.errors import ConfigError
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.bm25 import BM25
from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.teachers.llm import LLMTeacher

QUERIES = np.array([5, 2], np.int32)
PAIRS = np.array([[3, 7, -1], [1, -1, -1]], np.int32)
# As the model cards have it; written out here, not taken from the code that is tested.
QWEN_BEFORE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
QWEN_AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
QWEN_TASK = "Given a web search query, retrieve relevant passages that answer the query"
BGE_TASK = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
    "prediction of either 'Yes' or 'No'."
)
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512}


def save_model(folder, kind, texts, words=("yes", "no", "Yes"), seed=0):
    """A random causal model with a byte-level tokenizer of its own, in a folder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(list(words))
    marks = {"pad_token": "<pad>", "eos_token": "<eos>"} | ({"bos_token": "<bos>"} if kind == "gemma" else {})
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, vocab_size=tokenizer.get_vocab_size(), pad_token_id=0, **SIZES)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # sharper than a fresh model, so that scores differ
        for weight in model.parameters():
            weight.mul_(3.0) if weight.dim() > 1 else None
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(toy, tmp_path_factory):
    texts = toy.corpus.texts.to_pylist()
    return {kind: save_model(tmp_path_factory.mktemp(kind), kind, texts) for kind in ("qwen3", "gemma")}


@pytest.fixture
def teacher(folders, toy, tmp_path):
    def make(style, **more):
        kind = {"qwen3": "qwen3", "bge": "gemma"}[style]
        settings = {"max_length": 512, "precision": "32-true"} | more
        made = LLMTeacher(str(folders[kind]), style, **settings)
        made.prepare(toy, tmp_path)
        return made

    return make


def last_logits(folder, ids):
    """What the library gives for one text alone."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype="float32").eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1]


def tokenizer_of(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return tokenizer, lambda text: tokenizer.encode(text, add_special_tokens=False)


def qwen_logits(folder, query, document, task=QWEN_TASK):
    tokenizer, ids = tokenizer_of(folder)
    body = f"<Instruct>: {task}\n<Query>: {query}\n<Document>: {document}"
    logits = last_logits(folder, ids(QWEN_BEFORE) + ids(body) + ids(QWEN_AFTER))
    return torch.stack([logits[tokenizer.convert_tokens_to_ids(word)] for word in ("no", "yes")])


def test_qwen3_scores_are_those_of_the_model_card(teacher, folders, toy):
    logits, shares = teacher("qwen3"), teacher("qwen3", probability=True)
    found, probability = logits.score(QUERIES, PAIRS), shares.score(QUERIES, PAIRS)
    assert (np.isnan(found) == (PAIRS < 0)).all() and (np.isnan(probability) == (PAIRS < 0)).all()
    for row, column in zip(*np.nonzero(PAIRS >= 0), strict=True):
        query, document = toy.queries[int(QUERIES[row])], toy.corpus[int(PAIRS[row, column])]
        no, yes = qwen_logits(folders["qwen3"], query, document)
        assert found[row, column] == pytest.approx(float(yes - no), abs=1e-4)
        # compute_logits of the card: exp of the log-softmax over (no, yes), at yes
        expected = torch.log_softmax(torch.stack([no, yes]), dim=0)[1].exp().item()
        assert probability[row, column] == pytest.approx(expected, abs=1e-5)
    assert len(set(np.round(found[PAIRS >= 0], 3))) == 3


def test_bge_scores_are_the_logit_of_yes(teacher, folders, toy):
    found = teacher("bge").score(QUERIES, PAIRS)
    tokenizer, ids = tokenizer_of(folders["gemma"])
    for row, column in zip(*np.nonzero(PAIRS >= 0), strict=True):
        query, document = toy.queries[int(QUERIES[row])], toy.corpus[int(PAIRS[row, column])]
        whole = [tokenizer.bos_token_id, *ids(f"A: {query}"), *ids("\n"), *ids(f"B: {document}"), *ids("\n")]
        logits = last_logits(folders["gemma"], whole + ids(BGE_TASK))
        expected = logits[ids("Yes")[0]].item()
        assert found[row, column] == pytest.approx(expected, abs=1e-4)


def test_an_instruction_of_ones_own_is_asked(teacher, folders, toy):
    own = teacher("qwen3", instruction="Find the name").score(QUERIES[:1], PAIRS[:1, :1])[0, 0]
    no, yes = qwen_logits(folders["qwen3"], toy.queries[5], toy.corpus[3], task="Find the name")
    assert own == pytest.approx(float(yes - no), abs=1e-4)


@pytest.mark.parametrize("style", ["qwen3", "bge"])
def test_a_score_does_not_depend_on_what_else_is_in_the_batch(teacher, toy, style):
    docs = np.arange(24, dtype=np.int32).reshape(2, 12)  # of several lengths: padded on the left
    together = teacher(style, batch_size=7).score(QUERIES, docs)
    alone = teacher(style, batch_size=1).score(QUERIES, docs)
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.ptp(alone) > 0.01


@pytest.mark.parametrize(("style", "kind", "after"), [("qwen3", "qwen3", QWEN_AFTER), ("bge", "gemma", BGE_TASK)])
def test_a_long_document_is_cut_and_the_end_of_the_prompt_is_not(folders, style, kind, after):
    tokenizer, ids = tokenizer_of(folders[kind])
    asked = {"qwen3": Qwen3, "bge": BGE}[style](tokenizer, 400, None)
    rows, whole = asked.pair("who", "mill " * 1000)
    assert len(rows) == 400 < whole and rows[-len(ids(after)) :] == ids(after)
    assert "who" in tokenizer.decode(rows)
    short, uncut = asked.pair("who", "mill")
    assert len(short) == uncut and short[-len(ids(after)) :] == ids(after)
    both, _ = asked.pair("who " * 1000, "mill " * 1000)
    assert len(both) == 400 and (style != "bge" or "\nB: mill" in tokenizer.decode(both))
    with pytest.raises(ConfigError, match="leaves no room"):
        type(asked)(tokenizer, 30, None)


def test_what_is_cut_is_counted(teacher):
    made = teacher("qwen3", max_length=400)
    assert made.truncation().texts == 0
    made.score(QUERIES, PAIRS)
    assert made.truncation().texts == 3 and made.truncation().limit == 400


def test_identity_names_what_decides_the_scores(teacher, folders, toy, tmp_path):
    plain = teacher("qwen3").identity()
    assert plain == teacher("qwen3", batch_size=3).identity()
    assert plain["instruction"] == QWEN_TASK and plain["style"] == "qwen3"
    others = [{"instruction": "x"}, {"max_length": 256}, {"probability": True}, {"precision": "bf16-true"}]
    assert all(teacher("qwen3", **more).identity() != plain for more in others)
    other = save_model(tmp_path / "other", "qwen3", toy.corpus.texts.to_pylist(), seed=1)
    changed = LLMTeacher(str(other), "qwen3", max_length=512, precision="32-true")
    changed.prepare(toy, tmp_path)
    assert changed.identity()["weights"] != plain["weights"]


def test_bf16_weights_score_nearly_the_same(teacher):
    made = teacher("qwen3", precision="bf16-true")
    assert next(made.network.parameters()).dtype == torch.bfloat16
    exact, found = teacher("qwen3").score(QUERIES, PAIRS), made.score(QUERIES, PAIRS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=0.2, atol=0.3)


def test_what_cannot_work_is_refused(folders, toy, tmp_path):
    folder = str(folders["qwen3"])
    for more, says in (
        ({"style": "gpt"}, r"teacher\.style='gpt' must be one of qwen3, bge"),
        ({"max_length": 4}, "max_length=4"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"precision": "8"}, r"teacher\.precision"),
    ):
        with pytest.raises(ConfigError, match=says):
            LLMTeacher(folder, **{"style": "qwen3", **more})
    with pytest.raises(ConfigError, match="teacher: there is no folder"):
        LLMTeacher("/nowhere/at/all", "qwen3")
    with pytest.raises(ConfigError, match="positions for, 512"):
        LLMTeacher(folder, "qwen3", max_length=513)
    without = save_model(tmp_path / "without", "qwen3", toy.corpus.texts.to_pylist(), words=())
    with pytest.raises(ConfigError, match="is not one token of the teacher's tokenizer"):
        LLMTeacher(str(without), "qwen3", max_length=512).prepare(toy, tmp_path)


def test_it_leaves_the_random_numbers_of_training_alone(teacher):
    state = torch.get_rng_state()
    teacher("bge")
    assert torch.equal(torch.get_rng_state(), state)


def test_mined_lists_come_with_its_scores(teacher, toy, tmp_path):
    training, made = TrainingSet(toy), teacher("qwen3")
    source = Stored(2, BM25(), depth=6, teacher=made)
    source.prepare(Setting(training, {"known_positives": KnownPositives()}, tmp_path))
    query = int(training.queries[0])
    expected = made.score(np.array([query], np.int32), training.positives[query][None, :1])[0, 0]
    assert source.positive_teacher(query, 0) == pytest.approx(expected, abs=1e-4)
