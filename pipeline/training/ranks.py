"""Several processes that train one model: who this one is, and what they exchange.

Every process (rank) works an equal share of each batch. The model's outputs are gathered, so that
each rank computes the same losses of the whole batch, mined triplets included; gradients flow to
the rank's own faces, and the sum over all ranks is the gradient of the whole batch. With one
process nothing is exchanged.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.training.rank_names import RENDEZVOUS

_Rows = TypeVar("_Rows")


def number() -> int:
    """Which of the processes this is, from 0; 0 where there is one."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the one process that writes files and speaks."""
    return number() == 0


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Inside, this process is one of those that the environment says there are.

    The environment is that of torchrun (RANK, WORLD_SIZE and where the first one is to be found) or
    of :mod:`pipeline.training.launch`.
    """
    n = int(os.environ.get("WORLD_SIZE", "1"))
    if n == 1 or dist.is_initialized():
        yield
        return
    place = os.environ.get(RENDEZVOUS)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=Path(place).as_uri() if place else "env://",
        rank=int(os.environ["RANK"]),
        world_size=n,
    )
    try:
        yield
        dist.barrier()  # nobody goes while another one still has something to exchange
    finally:
        dist.destroy_process_group()


def gathered(rows: _Rows, lengths: Sequence[int] = ()) -> _Rows:
    """The rows of all ranks, in their order: a tensor, or a dataclass of tensors and None.

    Gradients flow through the rows of this rank alone.

    Args:
        rows: (b, ...) of this rank.
        lengths: rows of each rank; () where all have as many.

    Returns:
        (B, ...) of all ranks.
    """
    if count() == 1:
        return rows
    if isinstance(rows, Tensor):
        return cast(_Rows, _gathered(rows, lengths))
    names = [field.name for field in fields(cast(Any, rows))]
    parts = {name: getattr(rows, name) for name in names}
    return type(rows)(**{k: None if v is None else _gathered(v, lengths) for k, v in parts.items()})


def lengths_of(rows: Tensor) -> tuple[int, ...]:
    """How many rows each rank has."""
    if count() == 1:
        return (len(rows),)
    own = torch.tensor([len(rows)], device=rows.device)
    return tuple(_gathered(own, ()).tolist())


def sum_(tensors: Sequence[Tensor]) -> None:
    """Adds up tensors over all ranks, in place; each rank has as many, of the same shapes."""
    if count() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    at = 0
    for tensor in tensors:
        tensor.copy_(flat[at : at + tensor.numel()].view_as(tensor))
        at += tensor.numel()


def _gathered(rows: Tensor, lengths: Sequence[int]) -> Tensor:
    longest = max(lengths, default=len(rows))
    padded = rows.new_zeros((longest, *rows.shape[1:]))  # (longest, ...)
    padded[: len(rows)] = rows.detach()
    parts = [torch.empty_like(padded) for _ in range(count())]
    dist.all_gather(parts, padded)
    if lengths:
        parts = [part[:n] for part, n in zip(parts, lengths, strict=True)]
    parts[number()] = rows
    return torch.cat(parts)
