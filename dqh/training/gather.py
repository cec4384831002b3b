"""Batches of several processes as one, for losses over pairs: every image meets those of the other processes."""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd import Function

from dqh.training.processes import count, rank


def gather(values: Tensor) -> Tensor:
    """The rows of all processes, (W · N, …) from (N, …) of each of W; as they are where there is one process.

    Gradients flow to the rows of every process: the backward pass sums over the processes what reaches the rows of
    each. A loss that every process computes of all rows then has W times its gradient, which the mean over processes
    (of DistributedDataParallel) undoes, so that W processes move as one process with all the rows would.

    Args:
        values: (N, …), N the same in every process. Integers and bool are gathered without gradients.
    """
    if count() == 1:
        return values
    if values.is_floating_point():
        gathered: Tensor = _Rows.apply(values)
        return gathered
    return _rows(values)


def total(values: Tensor) -> Tensor:
    """The sum of the values of all processes, with gradients to those of each; as they are where there is one."""
    if count() == 1:
        return values
    summed: Tensor = _Sum.apply(values)
    return summed


class _Rows(Function):
    """Rows of all processes; backward, what reached this process's rows in any of them."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.size = len(values)
        return _rows(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        start = rank() * ctx.size
        return _summed(gradient)[start : start + ctx.size]


class _Sum(Function):
    """Sum over the processes; backward likewise."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _rows(values: Tensor) -> Tensor:
    values = values.detach().contiguous()
    parts = [torch.empty_like(values) for _ in range(count())]
    distributed.all_gather(parts, values)
    return torch.cat(parts)


def _summed(values: Tensor) -> Tensor:
    values = values.detach().clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values
