"""What the ranks send each other, under NCCL's rule: nothing leaves a rank that is not on its device."""

from __future__ import annotations

import os
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist
import warm

pytestmark = pytest.mark.skipif(
    os.environ.get("HARDNEG_TEST_DEVICE", "standin") != "standin", reason="two ranks need two devices, or the stand-in"
)
pytest.importorskip("standin")


def _rank(rank, folder):
    from collectives import register
    from standin import StandIn

    from hardneg.system import agreement, collectives

    torch.set_num_threads(1)
    with StandIn() as device:
        store = dist.FileStore(str(folder / "store"), 2)
        name = register("standin")
        dist.init_process_group(name, store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
        found = {}
        try:
            dist.all_reduce(torch.ones(1))
        except RuntimeError as error:
            found["refused"] = str(error)
        found["mean"] = [collectives.mean(float(rank)), collectives.mean(5.0 if rank else float("nan"))]
        for kind, where in (("host", torch.device("cpu")), ("device", device.device)):
            x = torch.full((1, 2), float(rank)).to(where).requires_grad_()
            gathered = collectives.gather(x)
            (gathered * torch.tensor([[1.0], [2.0]], device=where)).sum().backward()
            assert gathered.device.type == x.grad.device.type == where.type, "it stays where it was"
            ids = torch.full((1, 1 + rank), rank).to(where)
            rows = torch.full((2 - rank, 1), float(rank)).to(where)
            padded, whole = collectives.gather_padded(ids), collectives.gather_rows(rows, 3)
            assert padded.device.type == whole.device.type == where.type
            found[kind] = [part.detach().cpu().tolist() for part in (gathered, x.grad, padded, whole)]
        # As an evaluation that ranks again does with its arrays.
        found["array"] = collectives.gather_rows(torch.from_numpy(np.full((2, 1), rank, np.int32)), 4).numpy().tolist()
        agreement.barrier()
        found["everyone"] = agreement.everyone(rank)
        torch.save(found, folder / f"{rank}.pt")
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    warm.spawn(_rank, args=(folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_the_fake_refuses_what_is_not_on_the_device(ranks):
    assert all(found["refused"] == "No backend type associated with device type cpu" for found in ranks)


@pytest.mark.parametrize("kind", ["host", "device"])
def test_rows_are_gathered_from_where_they_are_and_gradients_find_back(ranks, kind):
    for rank, found in enumerate(ranks):
        gathered, gradient, padded, whole = found[kind]
        assert gathered == [[0.0, 0.0], [1.0, 1.0]]
        assert gradient == [[2.0 * (rank + 1)] * 2]  # both ranks weigh this rank's row by 1 + its number
        assert padded == [[0, -1], [1, 1]]
        assert whole == [[0.0], [0.0], [1.0]]


def test_numbers_flags_and_words_need_no_device_of_the_caller(ranks):
    for found in ranks:
        assert found["array"] == [[0], [0], [1], [1]] and found["everyone"] == [0, 1]
