"""Mining with a model: against brute force, in pieces, after an interruption, and by two processes."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import lightning as L
import numpy as np
import pytest
import torch

from hardneg.data.tokens import Side, Tokeniser
from hardneg.data.training_set import TrainingSet
from hardneg.encoders import checkpoint
from hardneg.encoders.pretrained import weights_hash
from hardneg.encoders.static import Static
from hardneg.encoders.towers import DOCUMENT, QUERY
from hardneg.errors import ConfigError, DataError
from hardneg.filters.known_positives import KnownPositives
from hardneg.mining.base import mining_pool
from hardneg.mining.bm25 import BM25
from hardneg.mining.dense import Dense
from hardneg.mining.fused import Fused
from hardneg.mining.pipeline import MiningRecipe, mine_and_store
from hardneg.mining.store import release_lists
from hardneg.negatives.base import Setting
from hardneg.negatives.stored import Stored
from hardneg.retrieval import embedding_blocks
from hardneg.retrieval import model as model_module
from hardneg.retrieval.embed_tables import embed_table
from hardneg.retrieval.search import Exact, Faiss
from hardneg.testing.synthetic import make_model
from hardneg.training.callbacks.remine import Remine

KNOWN = {"known_positives": KnownPositives()}


def mine(model, training, cache, depth=10, documents="all", filters=None, search=None):
    miner = Dense(search=search or Exact()).ready(training.data, model, cache)
    return mine_and_store(MiningRecipe(miner, depth, documents, filters or {}), training, cache)


def brute_force(model, training):
    """Every score, in float64."""
    q = embed_table(model.towers, model.queries, QUERY, "32-true", "q").double()
    d = embed_table(model.towers, model.docs, DOCUMENT, "32-true", "d").double()
    return (q @ d.T).numpy()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(embedding_blocks, "SIZE", 16)
    monkeypatch.setattr("hardneg.mining.rankings.BLOCK", 7)


@pytest.mark.parametrize("search", [Exact(), Faiss("Flat")], ids=["exact", "faiss_flat"])
def test_lists_are_those_of_brute_force(toy, tmp_path, search, small_blocks):
    if isinstance(search, Faiss):
        pytest.importorskip("faiss")
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    store = mine(model, training, tmp_path, depth=20, search=search)
    scores = brute_force(model, training)
    for query in training.queries.tolist():
        ids, found = store.ids[query], store.scores[query]
        assert len(set(ids.tolist())) == len(ids)
        np.testing.assert_allclose(found, scores[query][ids], atol=1e-6)
        best = np.sort(scores[query])[::-1][: len(ids)]
        np.testing.assert_allclose(found, best, atol=1e-6)
        known = training.known[query]
        assert store.positive[query] == pytest.approx(scores[query][known].min(), abs=1e-6)


@pytest.mark.parametrize("index", ["IVF4,Flat", "HNSW8"])
def test_approximate_indexes_find_most(toy, tmp_path, index):
    pytest.importorskip("faiss")
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    one = mine(model, training, tmp_path)
    other = mine(model, training, tmp_path, search=Faiss(index, nprobe=3))
    same = [np.isin(one.ids[q], other.ids[q]).mean() for q in training.queries]
    assert one.folder != other.folder and np.mean(same) > 0.6


def test_a_wrong_index_is_named(toy, tmp_path):
    pytest.importorskip("faiss")
    with pytest.raises(ConfigError, match="Flatt"):
        mine(make_model(toy, tmp_path), TrainingSet(toy), tmp_path, search=Faiss("Flatt"))


def test_blocks_of_other_sizes_give_the_same_lists(toy, tmp_path, monkeypatch):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    whole = mine(model, training, tmp_path / "a")
    monkeypatch.setattr(embedding_blocks, "SIZE", 16)
    monkeypatch.setattr("hardneg.mining.rankings.BLOCK", 5)
    parts = mine(model, training, tmp_path / "b")
    np.testing.assert_array_equal(whole.ids, parts.ids)


def test_an_interrupted_pass_goes_on_where_it_was(toy, tmp_path, monkeypatch, small_blocks):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    whole = mine(model, training, tmp_path / "whole")
    embedded, embed = [], model_module.embed_rows

    def embed_and_count(towers, table, side, precision, rows, bar):
        if len(embedded) == 3 and not resumed:
            raise KeyboardInterrupt
        embedded.append(len(rows) if side == DOCUMENT else 0)
        return embed(towers, table, side, precision, rows, bar)

    monkeypatch.setattr(model_module, "embed_rows", embed_and_count)
    resumed = False
    with pytest.raises(KeyboardInterrupt):
        mine(model, training, tmp_path / "cut")
    assert not list((tmp_path / "cut" / "stores").glob("[0-9a-f]*[0-9a-f]")), "an unfinished store can be found"
    resumed = True
    cut = mine(model, training, tmp_path / "cut")
    assert sum(embedded) == len(toy.corpus), "a block was embedded twice"
    for name in ("ids", "scores", "reasons", "positive"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))
    assert not list((tmp_path / "cut" / "work").iterdir())


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"query": {"prompt": "q: "}}, {"document": {"max_length": 9}}, {"normalize": False}],
    ids=["weights", "prompt", "max_length", "normalize"],
)
def test_another_model_never_reuses_a_store(toy, tmp_path, change):
    change = {key: Side(**value) if isinstance(value, dict) else value for key, value in change.items()}
    training = TrainingSet(toy)
    one, other = (mine(make_model(toy, tmp_path, **more), training, tmp_path) for more in ({}, change))
    assert one.folder != other.folder
    assert one.folder == mine(make_model(toy, tmp_path), training, tmp_path).folder


def test_the_datas_prompt_is_for_a_checkpoint_and_not_for_another_encoder(toy, tmp_path):
    """The checkpoint of a run on these data does not hold their prompt, and was trained behind it."""
    model = make_model(toy, tmp_path, query=Side("own: "))
    checkpoint.write(tmp_path / "one.ckpt", checkpoint.Trained(model.recipe, model.tokenizer, model.towers))
    asked = replace(toy, query_prompt="find: ")
    for miner, prompt in (
        (Dense(ckpt_path=str(tmp_path / "one.ckpt")), "find: "),
        (Dense(encoder=model.recipe), "own: "),
    ):
        ready = miner.ready(asked, None, tmp_path, "cpu").model
        first = Tokeniser(ready.tokenizer, ready.recipe.query)([toy.queries[0]], [prompt])[0]
        tokens = ready.queries.batch(np.array([0]))
        assert tokens.input_ids[0].tolist() == first.tolist()


def test_the_weights_hash_sees_one_changed_number(toy, tmp_path):
    model = make_model(toy, tmp_path)
    before = weights_hash(model.towers)
    with torch.no_grad():
        next(model.towers.parameters())[0, 0] += 1e-6
    assert weights_hash(model.towers) != before


def test_a_round_hashes_the_weights_for_its_lists_and_for_its_vectors_only(toy, tmp_path, monkeypatch):
    """Hashing those of a language model takes as long as many steps."""
    hashed = []
    monkeypatch.setattr(model_module, "weights_hash", lambda module: hashed.append(module) or weights_hash(module))
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    mine(replace(model, vectors=tmp_path / "vectors"), training, tmp_path)
    assert len(hashed) == 2


def test_only_the_pool_is_mined_but_positives_outside_it_are_scored(toy, tmp_path):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    listed = tmp_path / "pool.txt"
    rows = np.setdiff1d(np.arange(len(toy.corpus)), training.known.values)[:30]
    listed.write_text("\n".join(toy.corpus.ids.take(rows).to_pylist()) + "\n")
    store = mine(model, training, tmp_path, documents=str(listed))
    query = int(training.queries[0])
    assert set(store.ids[query].tolist()) <= {*rows.tolist(), -1}
    expected = brute_force(model, training)[query][training.known[query]].min()
    assert store.positive[query] == pytest.approx(expected, abs=1e-6)
    assert store.folder != mine(model, training, tmp_path).folder


def test_not_held_out_leaves_out_what_only_other_splits_know(toy):
    training = TrainingSet(toy)
    pool = mining_pool(training, "not_held_out")
    held_out = np.setdiff1d(toy.qrels["test"].relevant.docs, training.known.values)
    assert len(held_out) and not np.isin(held_out, pool).any()
    assert np.isin(training.known.values, pool).all()


def test_a_pool_with_an_unknown_document_is_refused_with_the_line(toy, tmp_path):
    (tmp_path / "pool.txt").write_text(f"{toy.corpus.ids[0].as_py()}\nnobody\n")
    with pytest.raises(DataError, match=r"pool\.txt:2: there is no document 'nobody'"):
        mining_pool(TrainingSet(toy), str(tmp_path / "pool.txt"))
    with pytest.raises(ConfigError, match="documents='some'"):
        mining_pool(TrainingSet(toy), "some")


def test_another_encoder_mines_with_its_own_tokens(toy, tmp_path):
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    other = Dense(encoder=Static(dim=8, vocab_size=200))
    assert not other.follows_model and Dense().follows_model
    torch.manual_seed(0)
    ready = other.ready(toy, model, tmp_path)
    assert ready.model.towers.dim == 8 and ready.model.docs.key != model.docs.key
    assert mine_and_store(MiningRecipe(ready, 5, "all", KNOWN), training, tmp_path).card["miner"]["model"]["weights"]


def test_another_encoder_leaves_the_random_numbers_of_training_alone(toy, tmp_path):
    """Arms of a study with the same seed start from the same weights, whatever mines for them."""
    miner, state = Dense(encoder=Static(dim=8, vocab_size=300)), torch.get_rng_state()
    first = miner.ready(toy, None, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert miner.ready(toy, None, tmp_path).identity() == first.identity(), "each round has the same weights"


def test_a_search_that_cannot_index_the_documents_is_refused_before_the_warm_up(toy, tmp_path):
    pytest.importorskip("faiss")
    model, setting = make_model(toy, tmp_path), Setting(TrainingSet(toy), {}, tmp_path)
    start = {"global_step": 0, "current_epoch": 0, "should_stop": False, "datamodule": Mock(position={})}
    trainer = Mock(spec=L.Trainer, **start)
    for miner in (Dense(search=Faiss("IVF9999,Flat")), Fused([BM25(), Dense(search=Faiss("IVF9999,Flat"))])):
        again = Remine({"mined": Stored(2, miner)}, setting, model, warmup_epochs=3)
        with pytest.raises(ConfigError, match="has 9999 cells"):
            again.on_train_start(trainer, Mock(spec=L.LightningModule))
    Remine({"mined": Stored(2, Dense())}, setting, model, warmup_epochs=3).on_train_start(
        trainer, Mock(spec=L.LightningModule)
    )


def test_a_store_that_a_run_trains_on_with_stays_when_the_run_that_mined_it_releases_it(toy, tmp_path):
    """The other run was interrupted, and goes on with remine.keep_last meanwhile."""
    training, model = TrainingSet(toy), make_model(toy, tmp_path)
    recipe = MiningRecipe(Dense().ready(toy, model, tmp_path), 10, "all", KNOWN)
    store = mine_and_store(recipe, training, tmp_path, "first")
    rankings = tmp_path / "rankings" / store.card["rankings"]
    setting = Setting(training, {}, tmp_path, owner="second")
    on = Remine({"mined": Stored(2, Dense())}, setting, model)
    on.load_state_dict({"round": 1, "step": 3, "stores": {"mined": [store.folder.name]}})
    loop = Mock(_can_stop_early=True)
    trainer = Mock(spec=L.Trainer, global_step=3, current_epoch=0, should_stop=True, fit_loop=loop)
    on.on_train_start(trainer, Mock(spec=L.LightningModule))
    release_lists(tmp_path, store.folder.name, "first")
    assert store.folder.exists() and rankings.exists()
    release_lists(tmp_path, store.folder.name, "second")
    assert not store.folder.exists() and not rankings.exists()


def test_a_miner_that_follows_the_model_needs_one(toy, tmp_path):
    with pytest.raises(ConfigError, match="no model"):
        Dense().ready(toy, None, tmp_path)
    with pytest.raises(ConfigError, match="either ckpt_path or encoder"):
        Dense(ckpt_path="x", encoder=Static())
