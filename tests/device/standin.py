"""A device of its own with real numbers, computed by the CPU: it fails, and makes the host wait, where a GPU would.

    with StandIn() as device:
        module.to(device.device)
        loss = module(batch.to(device.device, non_blocking=True))
        loss.backward()
        assert not device.waits

What is mixed with CPU tensors raises, what is read by NumPy without `.cpu()` raises, and `waits` counts, by operator
and line, whatever would have a GPU's host wait: reading a number, sizes that depend on values (boolean indexing,
`nonzero`, `unique`), and copies between host and device that are not asynchronous. It says nothing about speed, and
nothing about the numerics of a GPU's kernels.
"""

from __future__ import annotations

import collections
import functools
import traceback
from typing import ClassVar

import torch
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "standin"
# Their result's size, or the result itself, is read by the host.
READS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "_unique",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "equal",
    "is_nonzero",
    "bincount",
    "argwhere",
}
COPIES = {"_to_copy", "copy_", "to"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}


class OnDevice(torch.Tensor):
    """A tensor on the stand-in device; `held` are its numbers."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held):
        new = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        new.held = held
        return new

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def __tensor_flatten__(self):  # by which Module.to knows that parameters are to be swapped, not overwritten
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner, _, size, stride):
        return OnDevice(inner["held"])

    def __reduce_ex__(self, protocol):  # as a GPU's tensors, it is read back onto the CPU
        return self.held.__reduce_ex__(protocol)

    def tolist(self):
        return self.cpu().tolist()

    def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
        return torch.tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    def __repr__(self):
        return f"OnDevice({self.held!r})"


class StandIn(TorchDispatchMode):
    """Within it `torch.device("standin")` works and `waits` counts."""

    exact: ClassVar[bool] = True  # its numbers are those of the CPU
    active: ClassVar[StandIn | None] = None
    _registered: ClassVar[bool] = False

    def __init__(self):
        super().__init__()
        if not StandIn._registered:
            _setup_privateuseone_for_python_backend(rename=NAME, backend_module=_Backend())
            StandIn._registered = True
        self.device = torch.device(NAME, 0)
        self.waits = collections.Counter()

    def __enter__(self):
        self._tensor, self._inference = torch.tensor, torch._C._InferenceMode
        torch.tensor = self._made  # it does not come through the dispatcher
        # A view of a wrapper cannot be made in inference mode.
        torch._C._InferenceMode = lambda mode: torch.set_grad_enabled(not mode)
        self._threads = torch.autograd.set_multithreading_enabled(False)  # a device's thread runs no Python
        StandIn.active = self
        return super().__enter__()

    def __exit__(self, *error):
        torch.tensor, torch._C._InferenceMode, StandIn.active = self._tensor, self._inference, None
        self._threads.__exit__(*error)
        return super().__exit__(*error)

    def _made(self, *args, device=None, **kwargs):
        made = self._tensor(*args, **kwargs)
        return made if device is None else made.to(device)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def note(self, operator):
        """Count a wait, by the operator and by the line that led to it."""
        prefix, place = where(__file__)
        self.waits[f"{prefix}{operator} at {place}"] += 1

    def trainer(self):
        """The Trainer's arguments for training there."""
        return on_standin()

    def holds(self, tensor):
        """Whether a tensor lies there."""
        return isinstance(tensor, OnDevice)

    def same(self, here, there, rtol=0.0, atol=0.0):
        """Its numbers are the CPU's, to the bit or within these limits."""
        torch.testing.assert_close(here.detach().cpu(), there.detach(), rtol=rtol, atol=atol)

    def same_ranking(self, here, there):
        """Ids and scores to the bit."""
        assert (here.ids == there.ids).all() and (here.scores == there.scores).all()


def where(*without):
    """Say whether transformers is to blame, and which of our own lines, or else of the caller's, came last."""
    frames = [frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename]
    frames = [frame for frame in frames if frame.filename not in (__file__, *without)]
    frames = [frame for frame in frames if not frame.filename.endswith("/warnings.py")]
    ours = [frame for frame in frames if "/hardneg/" in frame.filename]
    frame = (ours or frames)[-1]
    place = f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno}: {frame.line}"
    return ("transformers' " if "/transformers/" in frames[-1].filename else ""), place


class StandInAccelerator(Accelerator):
    """Lets Lightning's Trainer train on the stand-in device."""

    def setup_device(self, device):
        pass

    def teardown(self):
        pass

    def get_device_stats(self, device):
        return {}

    @staticmethod
    def parse_devices(devices):
        return 1

    @staticmethod
    def get_parallel_devices(devices):
        return [torch.device(NAME, 0)]

    @staticmethod
    def auto_device_count():
        return 1

    @staticmethod
    def is_available():
        return StandIn.active is not None

    @staticmethod
    def name():
        return NAME


def on_standin():
    """The Trainer's arguments for training on the stand-in device."""
    return {"accelerator": StandInAccelerator(), "strategy": SingleDeviceStrategy(device=torch.device(NAME, 0))}


class _Backend:
    """What torch asks a device's module."""

    def is_available(self):
        return StandIn.active is not None  # other tests in this process know nothing of it

    def is_initialized(self):
        return True

    def device_count(self):
        return 1

    def current_device(self):
        return 0

    def _is_in_bad_fork(self):
        return False

    def manual_seed(self, seed):
        pass

    def manual_seed_all(self, seed):
        pass

    def get_rng_state(self, device=0):
        return torch.random.get_rng_state()

    def set_rng_state(self, state, device=0):
        torch.random.set_rng_state(state)

    def get_amp_supported_dtype(self):
        return [torch.bfloat16, torch.float16]

    def is_autocast_enabled(self):
        return False

    def synchronize(self, device=None):
        pass


def _run(func, args, kwargs):
    """Run an operator on the numbers, as the device would let it."""
    operator = _name(func)
    target = None if kwargs.get("device") is None else torch.device(kwargs["device"])
    tensors = [*_tensors(args), *_tensors(kwargs.values())]
    involved = any(isinstance(one, OnDevice) for one in tensors)
    if not involved and (target is None or target.type != NAME):
        return func(*args, **kwargs)
    if involved:
        _check_devices(operator, args, tensors)
    if StandIn.active is not None and _waits(operator, args, kwargs, target, tensors):
        StandIn.active.note(operator)
    out = func(*_bare(args), **{key: _bare(value) for key, value in kwargs.items()})
    if target is not None and target.type != NAME:
        return out
    known = {id(one.held): one for one in tensors if isinstance(one, OnDevice)}  # what was given to be written into
    return _wrapped(out, known)


@functools.cache
def _name(func):
    return func._schema.name.removeprefix("aten::")


# Operators take and return values, and lists and tuples of them. PyTorch's own walk through what may be any tree took
# nearly half of a test's time.


def _tensors(values):
    """Every tensor in some values."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _wrapped(value, known):
    if isinstance(value, torch.Tensor):
        return known[id(value)] if id(value) in known else OnDevice(value)
    return type(value)(_wrapped(one, known) for one in value) if isinstance(value, list | tuple) else value


def _bare(value):
    if isinstance(value, OnDevice):
        return value.held
    if isinstance(value, list | tuple):
        return type(value)(map(_bare, value))
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _check_devices(operator, args, tensors):
    """Raise where tensors of both devices meet; single numbers may lie on the CPU, and so may what indexes."""
    if operator in COPIES:
        return
    if operator in INDEXING and isinstance(args[0], OnDevice):
        index = {id(one) for one in _tensors(args[1])}
        tensors = [one for one in tensors if id(one) not in index]
    if any(not isinstance(one, OnDevice) and one.dim() > 0 for one in tensors):
        raise RuntimeError(f"{operator}: expected all tensors to be on the same device, found {NAME}:0 and cpu")


def _waits(operator, args, kwargs, target, tensors):
    """Whether the host of a GPU would wait here (see `torch.cuda.set_sync_debug_mode`)."""
    if operator in COPIES:
        to_device = target.type == NAME if target is not None else isinstance(args[0], OnDevice)
        source = args[1] if operator == "copy_" else args[0]
        crosses = isinstance(source, OnDevice) != to_device
        return crosses and not (kwargs.get("non_blocking") or (operator == "copy_" and args[2:3] == (True,)))
    if operator in INDEXING:
        index = [*_tensors(args[1])]
        fills = operator != "index" and len(index) == 1 and args[2].numel() == 1  # done as masked_fill
        by_mask = any(one.dtype in (torch.bool, torch.uint8) for one in index) and not fills
        return by_mask or any(not isinstance(one, OnDevice) and one.dim() > 0 for one in index)
    if operator == "isin" and all(isinstance(one, torch.Tensor) for one in args[:2]):
        # Small sets are compared one by one; others are sorted and made unique (ATen's isin_Tensor_Tensor_out).
        many = args[1].numel() >= 10 * max(args[0].numel(), 1) ** 0.145
        return many and not kwargs.get("assume_unique", False)
    if operator == "repeat_interleave":
        return kwargs.get("output_size") is None and isinstance(args[-1], torch.Tensor)
    return operator in READS
