"""The in-batch teacher: every pair of a step has a score, on its own scale, and losses keep two teachers apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from other_vectors import Vectors

from hardneg.data.training_set import TrainingSet
from hardneg.encoders.static import Static
from hardneg.errors import ConfigError
from hardneg.losses.infonce import InfoNCE
from hardneg.losses.kl import KL
from hardneg.losses.m3_kd import M3KD
from hardneg.losses.margin_mse import MarginMSE
from hardneg.matrix.embedded import Embedded
from hardneg.mining.bm25 import BM25
from hardneg.negatives.base import Setting
from hardneg.negatives.given import Given
from hardneg.negatives.in_batch import InBatch
from hardneg.negatives.live_teacher import learns_live
from hardneg.negatives.queue import Queue
from hardneg.negatives.stored import Stored
from hardneg.preflight.losses import check_losses
from hardneg.teachers.bi_encoder import BiEncoderTeacher
from hardneg.teachers.file import FileTeacher
from hardneg.teachers.guide_vectors import taught_by
from hardneg.testing.synthetic import make_batch, random_units
from hardneg.training.teacher_scores import check_scores

ENCODER = Static(dim=8, vocab_size=300)
NAMES = ("positive", "bm25", "in_batch")
GIVEN = torch.tensor([[5.0, 1.0], [4.0, 3.0], [2.0, torch.nan]])  # the other teacher's, of positive and drawn negative


def in_batch(scale=10.0, **more):
    return InBatch(teacher=BiEncoderTeacher(encoder=ENCODER, scale=scale), **more)


@pytest.fixture
def step():
    """Three rows of a positive and a drawn negative, another teacher's scores of these, and an in-batch teacher."""
    source = in_batch()
    tq, td = random_units(3, 5, seed=7), random_units(6, 5, seed=8)
    source.read(Vectors(tq, td))
    batch = make_batch([[0, 1], [2, 3], [4, 5]], query_ids=[0, 1, 2], teacher=GIVEN)
    q, d = random_units(3, 4).requires_grad_(), random_units(3, 2, 4, seed=1).requires_grad_()
    offered = Embedded(q, d, {"in_batch": source(q, d, batch)}).candidates(batch, NAMES)
    scores = offered.scores.detach().requires_grad_()
    c = type(offered)(**{**vars(offered), "scores": scores, "live_teacher": source.teacher_scores(offered)})
    return c, 10 * tq.detach() @ td.detach().T


def test_it_scores_every_pair_and_its_scale_counts(step):
    c, teacher = step
    for row in range(3):
        own = [2 * row, 2 * row + 1]
        torch.testing.assert_close(c.live_teacher[row], teacher[row, own + list(range(6))])
    assert c.teacher[:, 2:].isnan().all(), "the other teacher knows drawn pairs alone"


def test_two_teachers_by_hand_value_and_gradient(step):
    """TAS-B's sum: the drawn pair's margin by one teacher, 0.75 times those of in-batch pairs by the other."""
    c, teacher = step
    pairs, batch = MarginMSE(sources=["bm25"]), MarginMSE(sources=["in_batch"], weight=0.75)
    batch.live_teacher = True
    value = pairs(c).sum() + batch.weight * batch(c).sum()
    (gradient,) = torch.autograd.grad(value, c.scores)

    expected, by_hand = 0.0, np.zeros(c.scores.shape)
    s = c.scores.detach().double().numpy()
    for row in range(3):
        others = [column for column in range(6) if column // 2 != row]
        terms = [(2 + other, float(teacher[row, 2 * row] - teacher[row, other]), 0.75 / 4) for other in others]
        if row < 2:  # the third row's drawn negative is unknown
            terms.append((1, float(GIVEN[row, 0] - GIVEN[row, 1]), 1.0))
        for column, margin, share in terms:
            off = s[row, 0] - s[row, column] - margin
            expected += share * off**2
            by_hand[row, 0] += 2 * share * off
            by_hand[row, column] -= 2 * share * off
    assert value.item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient.numpy(), by_hand, rtol=1e-4, atol=1e-5)


def test_kl_takes_the_whole_row_from_it(step):
    c, teacher = step
    loss = KL(temperature=0.5, teacher_temperature=2.0, sources=["in_batch"])
    loss.live_teacher = True
    seen = [0, 4, 5, 6, 7]  # of the first row: its positive, and the others' four documents
    wanted = (teacher[0, [0, 2, 3, 4, 5]] / 2).softmax(0)
    ours = (c.scores[0, seen] / 0.5).softmax(0)
    assert loss(c)[0].item() == pytest.approx((wanted * (wanted / ours).log()).sum().item(), rel=1e-4)


def test_m3_kd_and_a_loss_of_all_sources_read_drawn_negatives_by_it_too(step):
    c, _ = step
    for loss in (M3KD(), KL(), MarginMSE()):
        loss.live_teacher = True
        (gradient,) = torch.autograd.grad(loss(c).sum(), c.scores)
        assert (gradient[c.valid] != 0).all() and not gradient[~c.valid].any()
    assert MarginMSE(sources=["bm25"])(c)[2] == 0, "a loss of the other teacher goes by that one"


def test_its_vectors_are_made_once_and_reach_queue_columns(toy, tmp_path):
    training = TrainingSet(toy)
    source, queue = in_batch(), Queue(size=4)
    source.read(taught_by(source.teacher, training, "all", tmp_path, "cpu"))
    setting = Setting(training, {}, tmp_path, device="cpu")
    rows = training.queries[:2]
    docs = [[int(training.positives[row][0])] for row in rows.tolist()]
    batch = make_batch(docs, query_ids=rows.tolist())
    q, d = random_units(2, 4), random_units(2, 1, 4)
    queue.update(d.detach(), make_batch([[30], [31]], query_ids=rows.tolist()))
    offered = Embedded(q, d, {"in_batch": source(q, d, batch), "queue": queue(q, d, batch)}).candidates(
        batch, ("positive", "in_batch", "queue")
    )
    teacher = BiEncoderTeacher(encoder=ENCODER, scale=10.0)
    teacher.prepare(training.data, tmp_path, setting.device)
    expected = teacher.score(rows, offered.ids.numpy().astype(np.int32))
    np.testing.assert_allclose(source.teacher_scores(offered).numpy(), expected, rtol=1e-4, atol=1e-4)


def stored(teacher):
    return Stored(k=1, miner=BM25(), teacher=teacher)


def test_a_loss_reads_one_teacher(tmp_path):
    (tmp_path / "scores.csv").write_text("query-id,corpus-id,score\n")
    other, live = stored(FileTeacher(str(tmp_path / "scores.csv"))), in_batch()
    sources = {"bm25": other, "in_batch": live}
    said = (
        r"loss=kl reads bm25 and in_batch, whose teachers differ.*loss.kl.sources=\[bm25\]"
        r" \+loss@loss.kl_in_batch=kl loss.kl_in_batch.sources=\[in_batch\]"
    )
    with pytest.raises(ConfigError, match=said):
        check_losses({"kl": KL()}, sources)
    check_losses({"kl": KL(sources=["bm25"]), "more": KL(sources=["in_batch"])}, sources)
    assert not learns_live("kl", KL(sources=["bm25"]), sources, ["bm25"])
    assert learns_live("kl", KL(sources=["in_batch"]), sources, ["bm25"])
    same = {"bm25": stored(in_batch().teacher), "in_batch": live}
    assert learns_live("kl", KL(), same, ["bm25"]), "the same teacher in two places is one"
    assert not learns_live("infonce", InfoNCE(), sources, ["bm25"])
    with pytest.raises(ConfigError, match="whose teachers differ"):
        learns_live("kl", KL(), {"bm25": stored(in_batch(scale=1.0).teacher), "in_batch": live}, ["bm25"])


def test_it_alone_feeds_a_loss_and_one_that_feeds_none_is_refused(toy):
    check_losses({"margin_mse": MarginMSE()}, {"in_batch": in_batch()})
    with pytest.raises(ConfigError, match=r"negatives.in_batch.teacher is given, and loss=\[infonce\] holds none"):
        check_losses({"infonce": InfoNCE()}, {"in_batch": in_batch()})
    with pytest.raises(ConfigError, match=r"loss=kl reads teacher scores.*\+teacher@negatives.in_batch.teacher"):
        check_losses({"kl": KL()}, {"in_batch": InBatch()})
    loss = KL()
    loss.live_teacher = True
    check_scores({"kl": loss}, {}, {"given": Given(1)}, toy)


def test_a_teacher_that_reads_pairs_is_refused(tmp_path):
    (tmp_path / "scores.csv").write_text("query-id,corpus-id,score\n")
    with pytest.raises(ConfigError, match=r"a FileTeacher cannot score every pair.*in_batch.teacher=bi_encoder"):
        InBatch(teacher=FileTeacher(str(tmp_path / "scores.csv")))
