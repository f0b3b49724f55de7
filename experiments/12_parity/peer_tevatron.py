"""Tevatron's dense model and its contrastive loss against ours."""

from __future__ import annotations

from types import SimpleNamespace

from rows import Row, training_row, write
from tevatron.loss import SimpleContrastiveLoss
from tevatron.modeling import DenseModel
from tiny import ROWS, SLOTS, Tensor, embedded, features, ours, theirs
from transformers import BertModel

PEER = "tevatron"
DOTS = "negatives=[in_batch,given] encoder.normalize=false loss.infonce.temperature=1"


def dense_model(model: BertModel) -> Tensor:
    """Its training forward pass: CLS, dot products, every passage of the batch."""
    train = SimpleNamespace(negatives_x_device=False, per_device_train_batch_size=ROWS)
    dense = DenseModel(model, model, data_args=SimpleNamespace(train_n_passages=SLOTS), train_args=train)
    return dense.train()(*features()).loss


def grad_cache_loss(model: BertModel) -> Tensor:
    """The loss that its GradCache trainer takes."""
    queries, docs = embedded(model, normalize=False)
    return SimpleContrastiveLoss(n_target=SLOTS)(queries, docs.flatten(0, 1))


def whole() -> Row:
    """The model's own loss."""
    words = f"{DOTS} encoder.pooling=cls"
    return training_row(
        PEER, "DenseModel, contrastive loss with hard negatives", words, ours(*words.split()), theirs(dense_model)
    )


def cached() -> Row:
    """The trainer's loss, ours with GradCache on."""
    words = f"{DOTS} encoder.grad_cache=true"
    return training_row(
        PEER, "SimpleContrastiveLoss (of its GradCache trainer)", words, ours(*words.split()), theirs(grad_cache_loss)
    )


if __name__ == "__main__":
    write([whole, cached])
