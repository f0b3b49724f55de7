"""What every encoder promises: checks of a recipe and of the tower that it makes, on a few texts."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hardneg.data.tables import Texts
from hardneg.data.tokens import Side, Tokeniser
from hardneg.encoders.base import EncoderRecipe, Tower
from hardneg.encoders.encode import encode
from hardneg.matrix.batch import Tokens
from hardneg.testing.synthetic import make_texts

TEXTS = (
    "one",
    "",  # a text without any token has one all the same
    "how do I find the largest value in a list of numbers",
    "sort a dictionary by its values, the largest first, and keep the order of equal ones",
    "größer als ein Wort; 値 — и ещё",
)
close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)


def corpus() -> Texts:
    """Texts enough for a tokenizer that is trained on them."""
    return make_texts([*TEXTS, *(f"document {n} says {n * n} and {n % 7}" for n in range(60))])


def made(recipe: EncoderRecipe) -> tuple[EncoderRecipe, Tower, Tokens]:
    """The recipe with nothing left open, its tower as it starts (seed 0), not in training, and the texts' tokens."""
    recipe = recipe.resolved()
    tokenizer = recipe.tokenizer(corpus(), make_texts(TEXTS, "q"))
    torch.manual_seed(0)
    tower = recipe.build(tokenizer).eval()
    return recipe, tower, Tokeniser(tokenizer, recipe.document).table(TEXTS).batch(np.arange(len(TEXTS)))


def embedded(tower: Tower, given: Tokens) -> Tensor:
    """Their vectors, as evaluation and mining compute them."""
    with torch.no_grad():
        return encode(tower, tower.read(given), size=None).float()


def embed(recipe: EncoderRecipe) -> Tensor:
    """Make a tower and embed the texts."""
    _, tower, given = made(recipe)
    return embedded(tower, given)


def gives_each_text_a_vector(recipe: EncoderRecipe) -> None:
    """Each text has a finite vector of width `dim`, an empty text too; of length 1 where the tower says `normalize`."""
    _, tower, given = made(recipe)
    found = embedded(tower, given)
    assert found.shape == (len(TEXTS), tower.dim), f"({len(TEXTS)}, {tower.dim}) is due, got {tuple(found.shape)}"
    assert found.isfinite().all(), "a vector is not finite"
    if tower.normalize:
        lengths = found.norm(dim=1)
        whole = (lengths - 1).abs() < 1e-3
        assert (whole | (lengths == 0)).all(), f"lengths of vectors: {[round(x, 4) for x in lengths.tolist()]}"


def padding_changes_nothing(recipe: EncoderRecipe) -> None:
    """A text has the same vector alone as beside longer ones, whatever padding holds."""
    _, tower, given = made(recipe)
    found = embedded(tower, given)
    close(embedded(tower, given), found, msg="a text's vector differs from call to call, as with dropout left on")
    noise = torch.where(given.attention_mask, given.input_ids, given.input_ids.amax())
    close(embedded(tower, replace(given, input_ids=noise)), found, msg="padding is read")
    for row in range(len(TEXTS)):
        alone = embedded(tower, given.part(torch.tensor([row])))
        close(alone[0], found[row], msg=f"text {row} has another vector alone than beside longer ones")


def texts_do_not_matter_to_each_other(recipe: EncoderRecipe) -> None:
    """A text's vector does not depend on which others are in the batch, nor on their order."""
    _, tower, given = made(recipe)
    order = torch.tensor([3, 0, 4, 2, 1])
    close(embedded(tower, given.part(order)), embedded(tower, given)[order], msg="another order gives other vectors")


def starts_the_same_from_a_seed(recipe: EncoderRecipe) -> None:
    """The same texts give the same tokenizer, and the same seed the same weights."""
    settled = recipe.resolved()
    one, other = (settled.tokenizer(corpus(), make_texts(TEXTS, "q")) for _ in range(2))
    assert one.to_str() == other.to_str(), (
        "two tokenizers of the same texts differ, as those do that the library trains by WordPiece or Unigram"
    )
    (_, first, _), (_, second, _) = made(recipe), made(recipe)
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), f"{name} starts with other weights"


def comes_back_from_a_checkpoint(recipe: EncoderRecipe) -> None:
    """`rebuild` makes of `architecture`, which is plain values, a tower that takes the weights and embeds alike."""
    settled, tower, given = made(recipe)
    again = settled.rebuild(json.loads(json.dumps(settled.architecture(tower))))
    again.load_state_dict(tower.state_dict())
    assert again.dim == tower.dim and again.normalize == tower.normalize, "dim or normalize is lost"
    close(embedded(again.eval(), given), embedded(tower, given), msg="the rebuilt tower embeds otherwise")


def every_weight_is_trained(recipe: EncoderRecipe) -> None:
    """Every parameter that wants a gradient gets a finite one from the vectors: others would stop training on ranks."""
    _, tower, given = made(recipe)
    vectors = encode(tower.train(), tower.read(given), size=None)
    weights = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0))
    (vectors.float() * weights).sum().backward()
    wanted = {name: p.grad for name, p in tower.named_parameters() if p.requires_grad}
    assert wanted, "there is nothing to train"
    without = [name for name, gradient in wanted.items() if gradient is None]
    assert not without, f"no gradient reaches {', '.join(without)}"
    assert all(gradient.isfinite().all() for gradient in wanted.values() if gradient is not None), "not finite"


def settings_can_name_vectors(recipe: EncoderRecipe) -> None:
    """The recipe pickles, and `embedding_settings()` can be written as JSON: it names vectors in the cache."""
    assert pickle.loads(pickle.dumps(recipe)) == recipe, "a pickled recipe is another"
    json.dumps(recipe.resolved().embedding_settings())
    assert isinstance(recipe.query, Side) and isinstance(recipe.document, Side), "query and document are each a Side"


ENCODER = [gives_each_text_a_vector, padding_changes_nothing, texts_do_not_matter_to_each_other]
ENCODER += [starts_the_same_from_a_seed, comes_back_from_a_checkpoint, every_weight_is_trained]
ENCODER += [settings_can_name_vectors]
