"""What every source, loss and filter has to hold: plain functions of the object that a yaml describes.

`YAML` checks take (group, name), `OFFLINE` ones (prepared source, setting), the others the object alone.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import io
import json
import mmap
import pickle

import hydra
import numpy as np
import pytest
import torch
from confs import CONF, compose
from omegaconf import OmegaConf
from synthetic import make_batch, make_candidates, random_units

from hardneg.config import classes
from hardneg.errors import ConfigError
from hardneg.matrix.candidates import PAIRINGS, Candidates
from hardneg.negatives.mixture import Mixture
from hardneg.negatives.random import Random

# --- yaml ------------------------------------------------------------------------------------------------------------


def node_of(group, name):
    """The yaml's body as a job sees it."""
    return classes.plain(compose(f"{group}=[{name}]")[group])[name]


def file_is_named_like_its_key(group, name):
    text = (CONF / group / f"{name}.yaml").read_text()
    assert text.startswith(f"# @package {group}.{name}\n"), "the first line says under which key the body goes"
    assert list(compose(f"{group}=[{name}]")[group]) == [name]


def every_key_is_an_argument(group, name):
    for path, node in classes.targets(node_of(group, name), f"{group}.{name}"):
        classes.check_target(path, node)


def every_argument_is_in_the_yaml(group, name):
    for path, node in classes.targets(node_of(group, name), f"{group}.{name}"):
        if not node.get("_partial_"):
            takes = inspect.signature(hydra.utils.get_object(node["_target_"])).parameters
            assert not takes.keys() - node.keys(), f"{path} does not show all that it takes"


def all_jobs_of_a_study_can_have_it(group, name):
    """The options of one group can stand side by side."""
    others = [path.stem for path in (CONF / group).glob("*.yaml")]
    assert name in compose(f"{group}=[{','.join(sorted(others))}]")[group]


YAML = [file_is_named_like_its_key, every_key_is_an_argument, every_argument_is_in_the_yaml]
YAML += [all_jobs_of_a_study_can_have_it]

# --- offline sources -------------------------------------------------------------------------------------------------


def draws_of(source, setting, epoch=0, order=1):
    """The ids drawn for every training query (Q, k), asked in the order of the table or backwards."""
    mixture = Mixture({"it": source}, ("positive", "it"), seed=7)
    return np.stack([mixture.draw(epoch, int(query))[0] for query in setting.training.queries[::order]])[::order]


def draws_k_rows_of_the_corpus(source, setting):
    anything = False
    for query in setting.training.queries:
        drawn = source.draw(int(query), np.random.default_rng(0))
        assert drawn.ids.dtype == np.int32 and drawn.ids.shape == (source.k,)
        assert drawn.ids.min() >= -1 and drawn.ids.max() < len(setting.training.data.corpus)
        assert drawn.teacher is None or (source.has_teacher and drawn.teacher.shape == (source.k,))
        anything |= bool((drawn.ids >= 0).any())
    assert anything, "nothing but padding was drawn for any query"


def draws_no_document_twice(source, setting):
    for ids in draws_of(source, setting):
        known = ids[ids >= 0]
        assert len(np.unique(known)) == len(known)


def never_draws_a_known_positive(source, setting):
    for epoch in range(3):
        for query, ids in zip(setting.training.queries, draws_of(source, setting, epoch), strict=True):
            both = np.intersect1d(ids, setting.training.known[int(query)])
            assert not both.size, f"query {query} got its known positives {both} as negatives"


def same_seed_epoch_and_query_draw_the_same(source, setting):
    first = [draws_of(source, setting, epoch) for epoch in range(2)]
    elsewhere = pickle.loads(pickle.dumps(source))  # as in a data-loading worker
    for epoch in (1, 0):
        np.testing.assert_array_equal(draws_of(source, setting, epoch, order=-1), first[epoch])
        np.testing.assert_array_equal(draws_of(elsewhere, setting, epoch), first[epoch])


def pickles_without_what_is_on_disk(source, setting):
    """Workers map files again instead of getting copies; tensors have no business in the dataset."""

    class Strict(pickle.Pickler):
        def reducer_override(self, thing):
            assert not isinstance(thing, torch.Tensor), "an offline source holds a tensor"
            base = thing
            while isinstance(base, np.ndarray):
                assert not isinstance(base, np.memmap), "a memory-mapped array is pickled by value"
                base = base.base
            assert not isinstance(base, mmap.mmap), "a memory-mapped array is pickled by value"
            return NotImplemented

    draws_of(source, setting)  # opens what is opened on first use
    Strict(io.BytesIO()).dump(source)


def mixes_with_other_sources(source, setting):
    other = Random(2)
    other.prepare(setting)
    both = Mixture({"other": other, "it": source}, ("positive", "other", "it"), seed=7)
    assert both.k == 2 + source.k
    alone = draws_of(source, setting)
    for query, expected in zip(setting.training.queries, alone, strict=True):
        ids, labels, teacher = both.draw(0, int(query))
        assert labels.tolist() == [1] * 2 + [2] * source.k
        np.testing.assert_array_equal(ids[2:], expected)
        assert source.has_teacher or np.isnan(teacher).all()


def reports_plain_numbers(source, setting):
    assert all(isinstance(value, int | float) for value in source.report().values())


OFFLINE = [draws_k_rows_of_the_corpus, draws_no_document_twice, never_draws_a_known_positive]
OFFLINE += [same_seed_epoch_and_query_draw_the_same, pickles_without_what_is_on_disk, mixes_with_other_sources]
OFFLINE += [reports_plain_numbers]

# --- online sources --------------------------------------------------------------------------------------------------


def steps(source, count=2, seed=0):
    """Take the source through some batches of other documents; yield (q, d, batch, what it offered)."""
    for step in range(count):
        batch = make_batch(torch.arange(12).reshape(4, 3) + 12 * step)
        q, d = random_units(4, 8, seed=seed + 2 * step), random_units(4, 3, 8, seed=seed + 2 * step + 1)
        yield q, d, batch, source(q, d, batch)
        source.update(d.detach(), batch)


def columns_agree(source):
    offered = 0
    for q, d, _, columns in steps(copy.deepcopy(source)):
        assert columns.emb.shape == (len(columns.ids), q.shape[1]) and columns.owner.shape == columns.ids.shape
        assert not columns.ids.is_floating_point() and not columns.owner.is_floating_point()
        assert (columns.owner >= -1).all()
        assert torch.isfinite(columns.emb).all() and columns.emb.dtype == d.dtype
        offered += len(columns.ids)
    assert offered, "the source offered nothing in two steps"


def offers_embeddings_under_their_own_ids(source):
    for q, d, batch, columns in steps(copy.deepcopy(source)):
        pairings = torch.zeros_like(columns.ids) if columns.pairing is None else columns.pairing
        places = zip(columns.emb, columns.ids.tolist(), columns.owner.tolist(), pairings.tolist(), strict=True)
        for emb, doc, owner, pairing in places:
            if PAIRINGS[pairing].endswith("_query"):  # the column is a query, and its id a row of theirs
                assert batch.query_ids[owner] == doc and torch.allclose(emb, q[owner])
            elif owner >= 0:
                slot = batch.doc_ids[owner].tolist().index(doc)
                assert torch.allclose(emb, d[owner, slot])
            else:
                assert doc not in batch.doc_ids[batch.doc_ids >= 0].tolist(), (
                    f"document {doc} has an owner in the batch"
                )


def gives_no_row_its_own_documents(source):
    for q, d, batch, columns in steps(copy.deepcopy(source)):
        c = Candidates.own(q, d, batch, ("positive", "drawn", "it")).add(q, columns, "it", d=d[:, 0])
        added = slice(d.shape[1], None)
        for row, own in enumerate(batch.doc_ids.tolist()):
            of_document = c.negative[row] if c.of_query is None else c.negative[row] & ~c.of_query
            usable = c.ids[row, added][of_document[added]].tolist()
            assert not set(usable) & set(own), f"row {row} got its own documents a second time"


def offers_no_padding_as_a_negative(source):
    batch = make_batch([[0, 1, -1], [2, -1, -1], [3, 4, 5]])
    q, d = random_units(3, 8), random_units(3, 3, 8, seed=1)
    c = Candidates.own(q, d, batch, ("positive", "drawn", "it")).add(q, source(q, d, batch), "it", d=d[:, 0])
    assert not (c.valid & (c.ids < 0)).any()


def only_this_batch_gets_a_gradient(source):
    for _, d, _, columns in steps(copy.deepcopy(source)):
        here = columns.owner >= 0
        if here.any():
            (gradient,) = torch.autograd.grad(columns.emb[here].sum(), d, retain_graph=True)
            assert gradient.abs().sum() > 0, "documents of this batch are offered without gradient"
        if not here.all() and columns.emb.requires_grad:
            (gradient,) = torch.autograd.grad(columns.emb[~here].sum(), d, retain_graph=True, allow_unused=True)
            assert gradient is None or not gradient.any(), "documents without an owner here pull at this batch's"


def state_round_trips(source):
    used, fresh = copy.deepcopy(source), copy.deepcopy(source)
    list(steps(used))
    fresh.load_state_dict(used.state_dict())
    batch = make_batch(torch.arange(12).reshape(4, 3) + 100)
    q, d = random_units(4, 8, seed=50), random_units(4, 3, 8, seed=51)
    for a, b in zip(*(vars(one(q, d, batch)).values() for one in (used, fresh)), strict=True):
        torch.testing.assert_close(a, b)


ONLINE = [columns_agree, offers_embeddings_under_their_own_ids, gives_no_row_its_own_documents]
ONLINE += [offers_no_padding_as_a_negative, only_this_batch_gets_a_gradient, state_round_trips]

# --- losses ----------------------------------------------------------------------------------------------------------


def scored(loss, seed=0):
    """Six rows with all that may happen: several positives, masked columns, and (row 2) no negative left.

    Masked columns hold large scores, so that a leak shows. Where the loss reads teacher scores, some are unknown.
    """
    rng = torch.Generator().manual_seed(seed)
    scores = torch.rand(6, 9, generator=rng) * 2 - 1
    positive = torch.zeros(6, 9, dtype=torch.bool)
    positive[:, 0] = positive[1, 4] = positive[3, 1:3] = True
    valid = (torch.rand(6, 9, generator=rng) > 0.3) | positive
    valid[:, 8] = True
    valid[:, 7] = False
    valid[2] = positive[2]
    more = {}
    if loss.needs_teacher:
        known = torch.rand(6, 9, generator=rng) * 20 - 10
        more["teacher"] = known.masked_fill(~valid, torch.nan)
        more["teacher"][4, 8] = torch.nan
    if loss.needs_reverse:
        more["reverse"] = make_candidates(torch.rand(6, 6, generator=rng))
    scores = torch.where(valid, scores, 50.0).requires_grad_()
    return make_candidates(scores, positive, valid, **more)


def gives_one_finite_value_a_row(loss):
    for seed in range(3):
        value = loss(scored(loss, seed))
        assert value.shape == (6,) and value.isfinite().all() and value.requires_grad


def masked_columns_do_nothing(loss):
    c = scored(loss)
    value = loss(c)
    (gradient,) = torch.autograd.grad(value.sum(), c.scores)
    assert gradient.isfinite().all()
    assert (gradient[~c.valid] == 0).all(), "masked columns get a gradient"
    changed = dataclasses.replace(c, scores=torch.where(c.valid, c.scores, -3.0))
    torch.testing.assert_close(loss(changed), value, msg="masked columns change the loss")
    assert (gradient[c.negative] != 0).any(), "no negative gets a gradient"


def order_of_columns_does_not_matter(loss):
    c = scored(loss)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    moved = {
        field: value[:, order]
        for field in ("scores", "ids", "positive", "valid", "source", "teacher")
        if (value := getattr(c, field)) is not None
    }
    torch.testing.assert_close(loss(dataclasses.replace(c, **moved)), loss(c))


def a_row_without_negatives_is_harmless(loss):
    c = scored(loss)
    for lonely in (c, c.keep(torch.zeros_like(c.valid))):  # row 2, and then all rows
        value = loss(lonely)
        parameters = [p for p in loss.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(value.sum(), [c.scores, *parameters], allow_unused=True)
        assert value.isfinite().all()
        assert all(g is None or g.isfinite().all() for g in gradients), "the gradient is not finite"


def rows_do_not_mix(loss):
    c = scored(loss)
    value = loss(c)
    for row in range(6):
        (gradient,) = torch.autograd.grad(value[row], c.scores, retain_graph=True)
        gradient[row] = 0
        assert (gradient == 0).all(), f"the loss of row {row} depends on another row's scores"


def state_of_a_loss_round_trips(loss):
    changed, fresh = copy.deepcopy(loss), copy.deepcopy(loss)
    with torch.no_grad():
        for p in changed.parameters():
            p.add_(0.1)
    fresh.load_state_dict(changed.state_dict())
    torch.testing.assert_close(fresh(scored(loss)), changed(scored(loss)))


def weight_must_be_positive(loss):
    assert loss.weight > 0
    for weight in (0.0, -1.0):
        with pytest.raises(ConfigError, match="weight"):
            type(loss)(weight=weight)


LOSS = [gives_one_finite_value_a_row, masked_columns_do_nothing, order_of_columns_does_not_matter]
LOSS += [a_row_without_negatives_is_harmless, rows_do_not_mix, state_of_a_loss_round_trips, weight_must_be_positive]

# --- filters ---------------------------------------------------------------------------------------------------------


def live():
    """A live batch's matrix: own documents and 4 columns for all; some documents are known positives elsewhere."""
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 12, (5, 8), generator=rng)
    ids[:, 4:] = ids[0, 4:]
    ids[4, 3] = -1
    c = make_candidates(torch.rand(5, 8, generator=rng) * 2 - 1, valid=ids >= 0, ids=ids)
    known = torch.cat([ids[:, :1], torch.randint(0, 12, (5, 2), generator=rng)], dim=1)
    known[:2, 2] = -1
    return c, known


def mined():
    """A mined list: known positives first (of one row unknown), scores fall, and short lists end in (-1, -inf)."""
    rng = torch.Generator().manual_seed(1)
    ids = torch.stack([torch.randperm(30, generator=rng)[:10] for _ in range(5)])
    scores = (torch.rand(5, 10, generator=rng) * 2 - 1).sort(dim=1, descending=True).values
    ids[2, 6:], scores[2, 6:] = -1, -torch.inf
    ids[3], scores[3] = -1, -torch.inf
    known = ids[:, 1:3].clone()
    known[3] = torch.tensor([3, -1])
    of_known = torch.rand(5, 2, generator=rng).masked_fill(known < 0, torch.nan)
    of_known[4] = torch.nan
    ids = torch.cat([known, ids], dim=1)
    first = torch.arange(12).expand(5, 12) < 2
    c = make_candidates(
        torch.cat([of_known, scores], dim=1),
        first & (ids >= 0),
        ids >= 0,
        ids,
        names=("positive", "mined"),
        query_ids=torch.arange(5),
        rank=torch.where(first, -1, torch.arange(12) - 2),
    )
    return c, known


SHAPES = (live, mined)


def says_keep_or_drop_of_every_candidate(rule):
    for shape in SHAPES:
        c, known = shape()
        before = copy.deepcopy(c)
        mask = rule(c, known)
        assert mask.dtype == torch.bool and mask.shape == c.scores.shape
        assert torch.equal(mask, rule(c, known)), "the same candidates are judged another way"
        for a, b in zip(dataclasses.astuple(c), dataclasses.astuple(before), strict=True):
            same = torch.allclose(a, b, equal_nan=True) if isinstance(a, torch.Tensor) else a == b
            assert same, "the filter changes its input"


def never_drops_a_positive(rule):
    c, known = live()
    kept = c.keep(rule(c, known))
    assert (kept.valid & kept.positive).sum() == c.positive.sum()
    assert not (kept.valid & ~c.valid).any()


def filtering_twice_changes_nothing(rule):
    for shape in SHAPES:
        c, known = shape()
        once = c.keep(rule(c, known))
        twice = once.keep(rule(once, known))
        assert torch.equal(once.valid, twice.valid), "filtering again drops more"


def rows_are_judged_alike(rule):
    for shape in SHAPES:
        c, known = shape()
        order = torch.tensor([3, 0, 4, 2, 1])
        named = ("scores", "ids", "positive", "valid", "source", "query_ids", "rank")
        fields = {f: getattr(c, f)[order] for f in named if getattr(c, f) is not None}
        moved = rule(dataclasses.replace(c, **fields), known[order])
        assert torch.equal(moved[fields["valid"]], rule(c, known)[order][fields["valid"]]), "the row's place matters"


def settings_can_name_a_store(rule):
    """The name of a mined list holds its filters' settings."""
    json.dumps(rule.identity())


FILTER = [says_keep_or_drop_of_every_candidate, never_drops_a_positive, filtering_twice_changes_nothing]
FILTER += [rows_are_judged_alike, settings_can_name_a_store]


def target_class(group, name):
    """The class that a yaml names, without composing anything; None where it cannot be found."""
    try:
        return hydra.utils.get_object(OmegaConf.load(CONF / group / f"{name}.yaml")["_target_"])
    except Exception:
        return None  # the yaml checks will say why
