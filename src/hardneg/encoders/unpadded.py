"""A transformer without padding: the texts of a part in one row, one after the other; only attention separates them.

Everything else in a layer reads each token alone, so nothing is computed for padding (Zeng et al. 2022,
arXiv:2208.08124, and ModernBERT, arXiv:2412.13663). On a GPU in half precision attention is torch's kernel for texts of
many lengths; where that cannot be (float32, a CPU, dropout of attention weights) attention alone is computed with
padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from hardneg.errors import ConfigError

NAME = "hardneg_unpadded"  # of the attention, among those of transformers
WIDEST = 256  # a head that the kernel takes


@dataclass(frozen=True)
class TokenLayout:
    """Where the tokens of a row of texts belong among `rows` texts padded to `width`."""

    places: Int[Tensor, " T"]
    starts: Int[Tensor, " R1"]
    lengths: Int[Tensor, " R"]
    positions: Int[Tensor, "1 T"]
    width: int

    @classmethod
    def of(cls, lengths: Int[Tensor, " R"], device: torch.device, first_position: int = 0) -> TokenLayout:
        """Lay out texts by lengths that are in main memory, so that the device is not waited for."""
        width = int(lengths.max())
        real = torch.arange(width) < lengths[:, None]
        rows, columns = real.nonzero(as_tuple=True)
        starts = F.pad(lengths.cumsum(0), (1, 0)).int()

        def there(part: Tensor) -> Tensor:
            return part.to(device, non_blocking=True)

        return cls(
            places=there(rows * width + columns),
            starts=there(starts),
            lengths=there(lengths),
            positions=there(columns[None] + first_position),
            width=width,
        )

    def packed(self, padded: Tensor) -> Tensor:
        """Take the tokens out of texts (R, width, ...): (T, ...)."""
        return padded.flatten(0, 1).index_select(0, self.places)

    def padded(self, packed: Tensor) -> Tensor:
        """Put tokens (T, ...) back between padding, which is 0: (R, width, ...)."""
        empty = packed.new_zeros(len(self.lengths) * self.width, *packed.shape[1:])
        return empty.index_copy(0, self.places, packed).unflatten(0, (-1, self.width))


def run_unpadded(
    model: Any, input_ids: Int[Tensor, "R L"], lengths: Int[Tensor, " R"], first_position: int
) -> Float[Tensor, "R L D"]:
    """Return the hidden states of texts, which have no padding within the model; `lengths` are on the CPU."""
    layout = TokenLayout.of(lengths, input_ids.device, first_position)
    ids = layout.packed(input_ids[:, : layout.width])[None]
    hidden = model(input_ids=ids, position_ids=layout.positions, layout=layout).last_hidden_state
    return F.pad(layout.padded(hidden[0]), (0, 0, 0, input_ids.shape[1] - layout.width))


def attend_unpadded(model: Any) -> int:
    """Set a model's attention so that `run_unpadded` can run it, and return the number of its first position.

    Raises `ConfigError` for a model whose vectors would then not be those of each text alone.
    """
    _register()
    kind = type(model).__name__
    refused = ConfigError(
        f"encoder.unpad=true: a {kind} cannot be computed without padding, its vectors would be others; set"
        " encoder.unpad=false"
    )
    if not getattr(model, "_supports_attention_backend", False):
        raise refused
    model.set_attn_implementation(NAME)
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)  # RoBERTa counts positions from the one after that of padding
    first_position = 0 if padding is None else padding + 1
    try:
        same = _same(model, first_position)
    except (TypeError, RuntimeError, KeyError, IndexError, ValueError) as error:
        raise refused from error
    if not same:
        raise refused
    return first_position


@torch.no_grad()
def _same(model: Any, first_position: int) -> bool:
    """Whether texts of two lengths have the same vectors with padding and without."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    lengths = torch.tensor([5, 3])
    most, padding = model.get_input_embeddings().num_embeddings, model.config.get_text_config().pad_token_id
    ids = torch.tensor([number for number in range(most) if number != padding][-8:], device=device)
    mask = torch.arange(5) < lengths[:, None]
    ids = torch.where(mask.to(device), torch.stack([ids[:5], ids[-5:]]), 0 if padding is None else padding)
    expected = model(input_ids=ids, attention_mask=mask.to(device)).last_hidden_state.float()
    found = run_unpadded(model, ids, lengths, first_position).float()
    model.train(training)
    away = ((found - expected).abs() * mask[..., None].to(device)).max()
    return bool(away <= (2e-2 if next(model.parameters()).dtype == torch.bfloat16 else 1e-3) * expected.abs().max())


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, unpadded_attention)
    AttentionMaskInterface.register(NAME, _mask)


def _mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """No mask for texts in a row, which come without one; that of SDPA for padded texts."""
    from transformers.masking_utils import sdpa_mask

    return None if kwargs.get("attention_mask") is None else sdpa_mask(*args, **kwargs)


def unpadded_attention(
    module: Any,
    query: Float[Tensor, "B H T D"],
    key: Float[Tensor, "B G T D"],
    value: Float[Tensor, "B G T D"],
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: TokenLayout | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within each text of a row, or where there is no `layout` as SDPA does; as transformers calls it."""
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    if kwargs.get("softcap") is not None or kwargs.get("position_bias") is not None:
        raise TypeError("scores are changed between product and softmax")
    causal = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    around = -1 if sliding_window is None else sliding_window - 1
    window = (around, 0 if causal else around)
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # (T, heads, D)
    if _kernel_takes(q, dropout):
        return _by_kernel(q, k, v, layout, scaling, window)[None], None
    return _with_padding(q, k, v, layout, scaling, window, dropout)[None], None


def _kernel_takes(q: Tensor, dropout: float) -> bool:
    if q.device.type != "cuda" or dropout or q.dtype not in (torch.float16, torch.bfloat16) or q.shape[-1] > WIDEST:
        return False
    try:
        from torch.nn.attention import varlen  # noqa: F401  (from torch 2.10 on)
    except ImportError:
        return False
    return torch.cuda.get_device_capability(q.device) >= (8, 0)


def _by_kernel(
    q: Tensor, k: Tensor, v: Tensor, layout: TokenLayout, scaling: float | None, window: tuple[int, int]
) -> Float[Tensor, "T H D"]:
    from torch.nn.attention import varlen

    most, grouped = layout.width, q.shape[1] != k.shape[1]
    return varlen.varlen_attn(  # type: ignore[return-value]
        q.contiguous(), k.contiguous(), v.contiguous(), layout.starts, layout.starts, most, most,
        scale=scaling, window_size=window, enable_gqa=grouped,
    )  # fmt: skip


def _with_padding(
    q: Tensor, k: Tensor, v: Tensor, layout: TokenLayout, scaling: float | None, window: tuple[int, int], dropout: float
) -> Float[Tensor, "T H D"]:
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))  # kernels want it so with a mask
    queries, keys, values = (layout.padded(x).transpose(1, 2) for x in (q, k, v))
    mask = _allowed(layout, window)
    found = F.scaled_dot_product_attention(queries, keys, values, mask, dropout_p=dropout, scale=scaling)
    return layout.packed(found.transpose(1, 2))


def _allowed(layout: TokenLayout, window: tuple[int, int]) -> Bool[Tensor, "R 1 W V"]:
    """Which tokens (last axis) each token may attend to; padding attends to the first: a softmax must not be empty."""
    at = torch.arange(layout.width, device=layout.lengths.device)
    ahead = at - at[:, None]
    near = torch.ones_like(ahead, dtype=torch.bool)
    if window[0] >= 0:
        near &= ahead >= -window[0]
    if window[1] >= 0:
        near &= ahead <= window[1]
    real = at < layout.lengths[:, None]
    allowed = near & real[:, None, :]
    return (allowed | (~real[:, :, None] & (at == 0)))[:, None]
