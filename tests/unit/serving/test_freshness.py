"""Freshness: what is stale is found and said with its mend; what is fresh is never called stale."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from worlds import built, corpus, encoder, saved, trained

from hardneg.errors import ConfigError, UserError
from hardneg.serving import canaries, embedding_space
from hardneg.serving import compare_vectors as stored_module
from hardneg.serving.backends.faiss import Faiss
from hardneg.serving.backends.lancedb import LanceDB
from hardneg.serving.compare_vectors import compare
from hardneg.serving.freshness import StaleIndex, examine, shown
from hardneg.serving.manifest import Manifest
from hardneg.serving.opened_build import open_build
from hardneg.serving.text_encoder import TextEncoder

SOURCE = {"ckpt_path": "A.ckpt", "words": ["data=toy", "index=faiss_flat"]}


def examined(build, made, **more):
    vectors = build.backend.open(build.vectors)
    return examine(build, made, vectors, **more)


def stale(freshness):
    return {finding.about for finding in freshness.findings if not finding.fresh}


@pytest.fixture
def fresh(toy, tmp_path):
    return built(tmp_path, toy, encoder(toy), source=SOURCE)


def test_an_index_asked_with_another_model_is_refused_with_the_reason_and_the_command(toy, fresh):
    with pytest.raises(StaleIndex) as refused:
        open_build(fresh, encoder(toy, seed=1), allow_stale=False)
    said = str(refused.value)
    assert "the weights (" in said and "lowest cosine of the canaries" in said
    assert f"hardneg index ckpt_path=CHECKPOINT data=toy index=faiss_flat index.path={fresh.root}" in said
    assert said.endswith(" (--allow-stale goes on all the same)")  # as search and serve call it
    with pytest.raises(StaleIndex) as refused:
        open_build(fresh, encoder(toy, seed=1))
    assert "--allow-stale" not in str(refused.value), "renew and index have no such option"
    opened = open_build(fresh, encoder(toy, seed=1), allow_stale=True)
    assert str(opened.freshness).startswith("STALE: build")


def test_the_mend_names_the_checkpoint_that_was_given_as_a_shell_takes_it(toy, fresh, tmp_path):
    (tmp_path / "my runs").mkdir()
    (tmp_path / "runs").mkdir()
    for name in ("runs/b.ckpt", "runs/epoch=3.ckpt", "my runs/b.ckpt"):
        path = saved(trained(toy, seed=1), tmp_path / name)
        mend = examined(fresh, TextEncoder.load(path, "cpu")).mend
        *command, word = shlex.split(mend)[:3]
        assert command == ["hardneg", "index"] and OverridesParser.create().parse_override(word).value() == str(path)
        assert word == (f"ckpt_path={path}" if name == "runs/b.ckpt" else f"ckpt_path='{path}'")


def test_a_cosine_shows_on_which_side_of_the_bound_it_is():
    assert shown(0.99896) == "0.99896" and shown(0.998999994) == "0.99899999" and shown(0.1234567) == "0.1235"
    assert shown(0.999) == "0.9990" and shown(1.0) == "1.0000" and float(shown(np.nextafter(0.999, 0))) < 0.999


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"document": {"prompt": "passage: ", "max_length": 128}}, "the prompt ('' at indexing, 'passage: ' now)"),
        ({"document": {"prompt": "", "max_length": 9}}, "the longest length (128 at indexing, 9 now)"),
        ({"normalize": False}, "normalisation (True at indexing, False now)"),
        ({"vocab_size": 200}, "the tokenizer ("),
    ],
)
def test_every_setting_that_decides_a_vector_is_compared(toy, fresh, setting, says):
    from hardneg.data.tokens import Side

    sides = {key: Side(**value) for key, value in setting.items() if key == "document"}
    assert says in str(examined(fresh, encoder(toy, **{**setting, **sides})))


def test_a_query_tower_that_was_trained_on_leaves_the_index_fresh(toy, tmp_path):
    made = encoder(toy, separate=True)
    build = built(tmp_path, toy, made)
    with torch.no_grad():
        made.towers.tower("query").embedding.weight.add_(1.0)
    freshness = examined(build, made)
    assert freshness.fresh and "queries differ in the weights" in freshness.findings[0].says
    with torch.no_grad():
        made.towers.tower("document").embedding.weight.add_(1.0)
    assert stale(examined(build, made)) == {"model", "canaries", "vectors"}


def test_many_openings_raise_no_false_alarm(toy, tmp_path):
    """Of another order, width and number of texts a batch, whose rounding differs."""
    made = encoder(toy, separate=True, matryoshka=[8], width=8)
    build = built(tmp_path, toy, made)
    backend = build.backend.open(build.vectors)
    for _ in range(40):
        freshness = examine(build, made, backend, sample=2)
        assert freshness.fresh, freshness
        assert [one.about for one in freshness.findings] == ["model", "files", "canaries", "vectors", "stored", "count"]
    for seed in range(3):
        texts = [toy.corpus[int(row)] for row in np.random.default_rng(seed).permutation(120)]
        assert (
            canaries.cosines(made.documents(texts), np.stack([made.documents([t])[0] for t in texts])) > 0.9999
        ).all()


def test_bfloat16_is_no_false_alarm(bert, toy, tmp_path):
    from hardneg.encoders.towers import Towers
    from hardneg.encoders.transformer import Transformer
    from hardneg.serving.text_encoder import TextEncoder

    recipe = Transformer(model=str(bert)).resolved()
    tokenizer = recipe.tokenizer(toy.corpus)
    made = type(trained(toy))(recipe, tokenizer, Towers(recipe, recipe.build(tokenizer)).eval())
    build = built(tmp_path, toy, TextEncoder(made, "cpu", "32-true"))
    assert examined(build, TextEncoder(made, "cpu", "bf16-mixed"), sample=5).fresh


@pytest.mark.parametrize("factory", ["Flat", "PQ4x4"])
def test_one_stale_shard_among_many_is_found(toy, tmp_path, factory):
    """Somebody embeds one shard with another model, and leaves no trace in any hash."""
    build = built(tmp_path, toy, encoder(toy), Faiss(str(tmp_path), factory), shard=4, source=SOURCE)
    shard = build.shards[17]
    vectors = encoder(toy, seed=1).documents(shard.documents.texts.texts.to_pylist())
    np.save(shard.folder / "vectors.npy", vectors)
    assert "not as written: 1 shard (" in str(examined(build, encoder(toy), files=True))
    card = {"count": 4, "hash": shard.file_hash()}
    (shard.folder / "card.json").write_text(json.dumps(card))
    manifest = json.loads((build.folder / "manifest.json").read_text())
    manifest["shards"][17]["hash"] = card["hash"]
    (build.folder / "manifest.json").write_text(json.dumps(manifest))
    index = build.backend.open(build.vectors)
    if factory == "Flat":
        index.upsert(shard.documents.texts.ids.to_pylist(), vectors)
        index.save()
    build = type(build)(build.root, build.name)
    for _ in range(3):
        freshness = examined(build, encoder(toy), files=True)
        assert stale(freshness) == {"vectors"}
        assert f"1 of 30 sampled shards are not what the model makes: shard 18 ({shard.name}" in str(freshness)
        assert freshness.mend.endswith("rebuild=true") and "ckpt_path=A.ckpt" in freshness.mend
    assert examined(
        built(tmp_path, toy, encoder(toy), Faiss(str(tmp_path), factory), shard=4, rebuild=True), encoder(toy)
    ).fresh


def test_vectors_that_were_lost_or_are_too_many_are_found(toy, fresh):
    index = fresh.backend.open(fresh.vectors)
    index.delete([toy.corpus.ids[5].as_py()])
    index.save()
    freshness = examined(fresh, encoder(toy), sample=20, files=True)
    assert stale(freshness) == {"count", "vectors", "stored"} and "119 vectors stored for 120 documents" in str(
        freshness
    )


def test_a_corpus_that_moved_on_is_named_with_ids(toy, fresh):
    after = corpus(toy, lambda row: row not in (3, 4), lambda row, text: "x" if row == 7 else text, ["new"])
    freshness = examined(fresh, encoder(toy), corpus=after.corpus)
    assert stale(freshness) == {"corpus"} and freshness.mend.startswith("hardneg index ckpt_path=A.ckpt data=toy")
    assert "1 missing, 1 changed, 2 deleted" in str(freshness) and "new0" in str(freshness)
    assert "rebuild" not in freshness.mend
    turned = toy.corpus.ids.to_pylist()[::-1], toy.corpus.texts.to_pylist()[::-1]
    assert examined(fresh, encoder(toy), corpus=type(toy.corpus).of(*turned)).fresh


def test_canaries_see_what_no_hash_does(toy, fresh, monkeypatch):
    made = encoder(toy)
    original = type(made).embed
    shift = np.random.default_rng(0).normal(size=16).astype(np.float32)
    monkeypatch.setattr(type(made), "embed", lambda self, *rest: original(self, *rest) + shift)
    freshness = examined(fresh, made)
    assert stale(freshness) == {"canaries", "vectors"}


def test_canaries_are_written_to_the_last_bit_and_rows_of_zeros_are_equal(toy):
    sung = canaries.sing(encoder(toy))
    back = canaries.from_plain(json.loads(json.dumps(canaries.as_plain(sung))))
    assert all((back[side] == sung[side]).all() for side in ("query", "document"))
    zeros, ones = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert canaries.cosines(zeros, zeros) == 1 and canaries.cosines(zeros, ones) == 0
    assert len(set(canaries.TEXTS)) == len(canaries.TEXTS) == 32


def test_a_model_of_another_width_cannot_be_allowed(toy, fresh):
    assert "the width of the embeddings (16 at indexing, 8 now)" in str(examined(fresh, encoder(toy, dim=8)))
    with pytest.raises(ConfigError, match="cannot be compared, whatever is allowed"):
        open_build(fresh, encoder(toy, dim=8), allow_stale=True)


def test_a_checkpoint_and_its_copy_are_one_model(toy, tmp_path):
    from hardneg.serving.text_encoder import TextEncoder

    one = TextEncoder.load(saved(trained(toy), tmp_path / "a.ckpt"), "cpu")
    assert embedding_space.of(one) == embedding_space.of(encoder(toy))


def test_an_encoder_that_leaves_prompts_out_of_its_vectors_has_a_space_of_its_own(toy):
    whole, without = encoder(toy), encoder(toy)
    for side in ("query", "document"):
        without.towers.tower(side).include_prompt = False
    stored, now = embedding_space.of(whole), embedding_space.of(without)
    (said,) = embedding_space.differences(stored["document"], now["document"])
    assert "the kind of encoder" in said and "'include_prompt': False" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "was never finished"),
        ("{", "is not JSON"),
        ('{"format": 0}', "another format"),
        ('{"format": 1}', "lacks"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_said(tmp_path, content, says):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=says):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("kind", [Faiss, LanceDB])
def test_what_another_model_wrote_into_the_database_is_found_without_a_model(toy, tmp_path, kind):
    """One document of one shard by a complete check; a whole shard whenever the index is opened."""
    pytest.importorskip({Faiss: "faiss", LanceDB: "lancedb"}[kind])
    build = built(tmp_path, toy, encoder(toy), kind(str(tmp_path)), shard=10, source=SOURCE)
    other, index, shard = encoder(toy, seed=1), build.backend.open(build.vectors), build.shards[7]
    assert examined(build, encoder(toy), files=True).fresh
    ids, texts = shard.documents.texts.ids.to_pylist(), shard.documents.texts.texts.to_pylist()
    index.upsert(ids[3:4], other.documents(texts[3:4]))
    index.save()
    freshness = examined(build, encoder(toy), files=True)
    said = f"1 of 120 stored vectors are not those that were embedded: shard 8 ({shard.name}, 1 of 10)"
    assert "stored" in stale(freshness) and said in str(freshness) and freshness.mend.endswith("rebuild=true")
    index.upsert(ids, other.documents(texts))
    index.save()
    for _ in range(3):
        freshness = examined(build, encoder(toy), most=1)
        assert "stored" in stale(freshness) and "8 of 96 stored vectors are not those" in str(freshness)


def test_many_shards_of_all_sizes_are_compared_in_a_few_requests(toy, tmp_path, monkeypatch):
    build = built(tmp_path, toy, encoder(toy), shard=7)
    index = build.backend.open(build.vectors)
    monkeypatch.setattr(stored_module, "BLOCK", 20)
    asked, fetch = [], index.fetch
    monkeypatch.setattr(index, "fetch", lambda ids: asked.append(ids) or fetch(ids))
    compared = list(compare(build, index, None))
    assert [one.looked for one in compared] == [7] * 17 + [1] and not any(one.other for one in compared)
    assert [name for ids in asked for name in ids] == toy.corpus.ids.to_pylist()
    assert {len(ids) for ids in asked[:-1]} == {14}
    asked.clear()
    assert sum(one.looked for one in compare(build, index, 2)) == 35 and max(map(len, asked)) == 20


def test_a_shard_that_is_another_than_was_written_is_seen_when_the_index_is_opened(toy, fresh, tmp_path):
    other = built(tmp_path / "other", toy, encoder(toy, seed=1))
    theirs, ours = other.shards[4].folder, fresh.shards[4].folder
    shutil.rmtree(ours)
    shutil.copytree(theirs, ours)
    assert "files" in stale(examined(fresh, encoder(toy)))


def test_a_shard_that_is_gone_is_found_and_built_again(toy, fresh):
    shutil.rmtree(fresh.shards[2].folder)
    for allowed in (False, True):
        with pytest.raises(StaleIndex, match=r"not as written: 1 shard \(") as refused:
            open_build(fresh, encoder(toy), allow_stale=allowed)
        assert "stale goes on" not in str(refused.value)
    again = built(fresh.root, toy, encoder(toy), source=SOURCE)
    assert again.intact and examined(again, encoder(toy), files=True).fresh
